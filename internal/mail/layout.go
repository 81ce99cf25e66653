package mail

import (
	"regexp"
	"slices"
	"strings"

	"mana.how/edge/internal/usertext"
)

// layout is what layout.html shows.
type layout struct {
	Subject, Language, Brand string
	Blocks                   []block
}

// block is one paragraph: a link with its label, the code, or lines.
type block struct {
	Link, Label string
	Code        string
	Lines       []string
	Small       bool // what stands below the mail
}

// maxSubject bounds a subject, in bytes.
const maxSubject = 300

// split parts the subject of a rendered mail from its text.
func split(raw string) (subject, text string, ok bool) {
	first, text, _ := strings.Cut(strings.TrimLeft(raw, "\n"), "\n")
	subject, ok = strings.CutPrefix(first, "Subject:")
	subject = literal(usertext.Clean(subject, maxSubject))
	blank, text, _ := strings.Cut(text, "\n")
	return subject, text, ok && subject != "" && strings.TrimSpace(blank) == "" && strings.TrimSpace(text) != ""
}

// literal is a subject that reads as it stands: an encoded word in it (RFC 2047)
// would be decoded, to whatever a stranger wrote in it.
func literal(subject string) string { return strings.ReplaceAll(subject, "=?", "= ?") }

var emptyLines = regexp.MustCompile(`\n(?:[ \t]*\n)+`)

// paragraphs are those of a text, without empty ones and blanks at the ends of
// lines.
func paragraphs(text string) []string {
	list := emptyLines.Split("\n"+text+"\n", -1)
	for i, p := range list {
		lines := strings.Split(p, "\n")
		for j, line := range lines {
			lines[j] = strings.TrimRight(line, " \t")
		}
		list[i] = strings.Trim(strings.Join(lines, "\n"), "\n")
	}
	return slices.DeleteFunc(list, func(p string) bool { return p == "" })
}

// blocks are the paragraphs as the HTML part shows them.
func blocks(paragraphs []string, v view) []block {
	links := v.links()
	var list []block
	small := false
	for _, p := range paragraphs {
		lines := strings.Split(p, "\n")
		last := lines[len(lines)-1]
		switch {
		case p == "--":
			small = true
		case slices.Contains(links, last):
			label := strings.TrimRight(strings.Join(lines[:len(lines)-1], " "), ": ")
			if label == "" {
				label = last
			}
			list = append(list, block{Link: last, Label: label})
		case v.Code != "" && p == v.Code:
			list = append(list, block{Code: p})
		default:
			list = append(list, block{Lines: lines, Small: small})
		}
	}
	return list
}
