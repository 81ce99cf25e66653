// Package mail writes and sends the mails of an account: [Templates] render a
// [Letter] in German or English, a [Sender] sends it, by SMTP ([SMTP]) or,
// where there is no server, into the log ([Log]).
//
// What strangers wrote (names, organisations, messages) is treated as hostile.
// It is one line without control characters, cut to a length, escaped in HTML,
// and never something that a mail program turns into a link: the links of a mail
// are those of [Data], alone on their line.
//
// # Templates
//
// A mail is <kind>.<language>.txt: a line "Subject: …", an empty line, and
// paragraphs of text, with the actions of text/template. Empty paragraphs
// vanish. A paragraph that ends in a line with one of the links is a button in
// the HTML part, named by the lines before it; one that is the code alone is
// shown large; what follows a paragraph of two hyphens is small. layout.html
// (html/template) makes the HTML part of that. partials.<language>.txt defines
// what several mails have in common.
//
// Each of these files can be replaced by one of the same name in a directory,
// and <kind>.<language>.html, where there is one, makes the HTML part of a mail
// instead of the layout. The fields are those of a mail as it is shown:
// Greeting, Brand, Email, Link, UndoLink, ResetLink, Code, Organization,
// Inviter, Factor, Device, Address, Amount, Message, Validity, Until, At.
package mail
