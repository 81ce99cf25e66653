//go:build examples

package clients_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// document is what the walk needs of the OpenAPI document of an edge.
type document struct {
	Paths map[string]map[string]*operation
}

type operation struct {
	ID         string `json:"operationId"`
	Tags       []string
	Parameters []struct {
		Name, In string
		Example  any
	}
	RequestBody struct {
		Content map[string]struct{ Example any }
	}
	Responses map[string]struct {
		Content map[string]any
	}

	method, path string
}

// page reports whether the operation is one of the hosted pages.
func (o *operation) page() bool { return slices.Contains(o.Tags, "pages") }

// success is the lowest status of success that the document names, 0 where there is
// none.
func (o *operation) success() int {
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		if n, err := strconv.Atoi(status); err == nil && n < 300 {
			return n
		}
	}
	return 0
}

func readDocument(t *testing.T, base string) (all map[string]*operation, raw string) {
	t.Helper()
	status, raw := try(t.Context(), http.MethodGet, base+"/api/v1/openapi.json", nil)
	var doc document
	if err := json.Unmarshal([]byte(raw), &doc); err != nil || status != http.StatusOK {
		t.Fatalf("the document: %d, %v", status, err)
	}
	all = make(map[string]*operation)
	for path, item := range doc.Paths {
		for method, o := range item {
			o.method, o.path = strings.ToUpper(method), path
			all[o.ID] = o
		}
	}
	return all, raw
}

// family is a running `mana-edge dev`: its addresses, users and keys, by the names of
// their variables.
type family map[string]string

func startFamily(t *testing.T) family {
	t.Helper()
	if *binary == "" {
		t.Fatal("it needs -edge")
	}
	file := filepath.Join(t.TempDir(), "environment")
	cmd := exec.Command(*binary, "dev", "--upstream", "localhost:0", "--once", "--", "sh", "-c", `env >"$0.new" && mv "$0.new" "$0" && cat >/dev/null`, file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // which ends the command, and with it the family
		if err := cmd.Wait(); err != nil || t.Failed() {
			t.Logf("the family ended with %v, and said: %s", err, said.String())
		}
	})
	f := make(family)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if env, err := os.ReadFile(file); err == nil {
			for line := range strings.Lines(string(env)) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
				f[name] = value
			}
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("the family is not up: %s", said.String())
		}
	}
}

// sent is one call of an operation, as the driver of a generated client reads it.
type sent struct {
	Base      string            `json:"base"`
	Operation string            `json:"operation"`
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	InPath    map[string]string `json:"inPath"`
	Query     map[string]any    `json:"query"`
	Header    map[string]any    `json:"header"`
	Params    map[string]any    `json:"params"` // both of them
	Headers   map[string]string `json:"headers"`
	Media     string            `json:"media"`
	Body      any               `json:"body,omitempty"`
	Bytes     []byte            `json:"bytes"`
	JSON      bool              `json:"json"` // what the answer is in

	want int
}

// reply is what the driver says came of it.
type reply struct {
	*testing.T
	Status  int
	Headers http.Header
	Body    string
	Fault   string
}

// text is a text of the answer, by the names and numbers that lead to it.
func (r reply) text(path ...any) string {
	r.Helper()
	var value any
	if err := json.Unmarshal([]byte(r.Body), &value); err != nil {
		r.Fatalf("%v in %s", err, r.Body)
	}
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				r.Fatalf("no %v in %s", path, r.Body)
			}
			value = list[step]
		}
	}
	text, ok := value.(string)
	if !ok || text == "" {
		r.Fatalf("no %v in %s", path, r.Body)
	}
	return text
}

// walker calls the operations of a document by a generated client.
type walker struct {
	*testing.T
	operations map[string]*operation
	calls      *json.Encoder
	replies    *bufio.Reader
	walked     map[string]bool
	addresses  int
	kept       func(*operation, sent, reply) // sees each call that went as it should
}

// startWalker starts the driver of a client.
func startWalker(t *testing.T, operations map[string]*operation, dir string, command ...string) *walker {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if _, err := io.Copy(io.Discard, out); err != nil {
			t.Log(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the driver: %v: %s", err, said.String())
		}
	})
	return &walker{T: t, operations: operations, calls: json.NewEncoder(in), replies: bufio.NewReader(out), walked: make(map[string]bool), kept: func(*operation, sent, reply) {}}
}

// with is a part of a call.
type with func(*sent)

func bearer(token string) with {
	return func(s *sent) { s.Headers["Authorization"] = "Bearer " + token }
}

func asBackend(key string) with { return func(s *sent) { s.Headers["X-Service-Key"] = key } }

// inBrowser sends what a page of the auth site does, and the cookies of a session where
// there is one.
func inBrowser(cookie string) with {
	return func(s *sent) {
		s.Headers["Origin"] = s.Base
		if cookie != "" {
			s.Headers["Cookie"] = cookie
		}
	}
}

// at is a part of the path.
func at(name, value string) with { return func(s *sent) { s.InPath[name] = value } }

func query(name string, value any) with { return func(s *sent) { s.Query[name] = value } }

func header(name, value string) with { return func(s *sent) { s.Header[name] = value } }

type object = map[string]any

func body(value any) with {
	return func(s *sent) { s.Media, s.Body = "application/json", value }
}

func form(values ...string) with {
	text := make(url.Values)
	for i := 0; i < len(values); i += 2 {
		text.Set(values[i], values[i+1])
	}
	return bytesOf("application/x-www-form-urlencoded", []byte(text.Encode()))
}

func bytesOf(media string, raw []byte) with {
	return func(s *sent) { s.Media, s.Bytes = media, raw }
}

// want is the status of the answer, where it is not that of success.
func want(status int) with { return func(s *sent) { s.want = status } }

// anyStatus is one that the document names, whichever it is.
const anyStatus = -1

// call calls an operation, whose answer must be one that the document names, and read
// by the generated client into its type.
func (w *walker) call(base, id string, parts ...with) reply {
	w.Helper()
	o := w.operations[id]
	if o == nil {
		w.Fatalf("the document has no %s", id)
	}
	w.walked[id] = true
	w.addresses++
	s := sent{
		Base: base, Operation: id, Method: o.method, Path: o.path, want: o.success(),
		InPath: make(map[string]string), Query: make(map[string]any), Header: make(map[string]any), Params: make(map[string]any),
		Headers: map[string]string{"X-Forwarded-For": fmt.Sprintf("10.9.%d.%d", w.addresses>>8, w.addresses&255)}, // limits count by it
	}
	for _, p := range o.Parameters {
		if p.In == "path" {
			s.InPath[p.Name] = fmt.Sprint(p.Example)
		}
	}
	for _, part := range parts {
		part(&s)
	}
	if example := o.RequestBody.Content["application/json"].Example; s.Media == "" && example != nil {
		s.Media, s.Body = "application/json", example
	}
	maps.Copy(s.Params, s.Query)
	maps.Copy(s.Params, s.Header)
	response, named := o.Responses[strconv.Itoa(s.want)]
	if !named && s.want != anyStatus {
		w.Fatalf("%s: the document names no %d", id, s.want)
	}
	_, s.JSON = response.Content["application/json"]
	r := w.send(s)
	for try := 0; try < 5 && r.Status == http.StatusServiceUnavailable && s.want != r.Status; try++ { // a busy machine
		time.Sleep(time.Second)
		r = w.send(s)
	}
	if s.want == anyStatus {
		response, named = o.Responses[strconv.Itoa(r.Status)]
	}
	if r.Status != s.want && !(named && s.want == anyStatus) || r.Fault != "" {
		w.Errorf("%s: %d, want %d: %s %s", id, r.Status, s.want, r.Fault, r.Body)
		return r
	}
	if media, _, _ := strings.Cut(r.Headers.Get("Content-Type"), ";"); media != "" && r.Body != "" {
		if _, described := response.Content[media]; !described && !strings.HasPrefix(media, "image/") {
			w.Errorf("%s: the document names no %s of %d", id, media, r.Status)
		}
	}
	w.kept(o, s, r)
	return r
}

// send has the driver make a call.
func (w *walker) send(s sent) reply {
	w.Helper()
	if err := w.calls.Encode(s); err != nil {
		w.Fatalf("%s: %v", s.Operation, err)
	}
	line, err := w.replies.ReadBytes('\n')
	if err != nil {
		w.Fatalf("%s: the driver is gone: %v", s.Operation, err)
	}
	var raw struct {
		Status  int
		Headers map[string][]string
		Body    string
		Fault   string
	}
	if err := json.Unmarshal(line, &raw); err != nil {
		w.Fatalf("%s: %v in %s", s.Operation, err, line)
	}
	r := reply{T: w.T, Status: raw.Status, Headers: make(http.Header), Body: raw.Body, Fault: raw.Fault}
	for name, values := range raw.Headers {
		for _, value := range values {
			r.Headers.Add(name, value)
		}
	}
	return r
}

// complete fails the test where an operation of the document was not called.
func (w *walker) complete() {
	w.Helper()
	for _, id := range slices.Sorted(maps.Keys(w.operations)) {
		if o := w.operations[id]; !w.walked[id] {
			w.Errorf("%s %s is not walked: %s", o.method, o.path, id)
		}
	}
	w.Logf("%d of %d operations", len(w.walked), len(w.operations))
}

// button presses one of the pages beside the auth site, or sends a form of a page of
// it, and returns where it leads.
func (w *walker) button(address string, values ...string) string {
	w.Helper()
	text := make(url.Values)
	for i := 0; i < len(values); i += 2 {
		text.Set(values[i], values[i+1])
	}
	target, err := url.Parse(address)
	if err != nil {
		w.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, address, strings.NewReader(text.Encode()))
	if err != nil {
		w.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", target.Scheme+"://"+target.Host)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if raw, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusSeeOther {
		w.Fatalf("%s with %v: %d %s", address, values, resp.StatusCode, raw)
	}
	return resp.Header.Get("Location")
}

// link is the first one of the newest mail of a kind.
func (w *walker) link(f family, to, kind string) *url.URL {
	w.Helper()
	mails := call[[]struct{ Links []string }](w.T, http.MethodGet, f["MANA_MAILBOX"]+"/mails?wait=20&to="+url.QueryEscape(to)+"&kind="+kind, nil)
	if len(mails) == 0 || len(mails[0].Links) == 0 {
		w.Fatalf("no %s to %s", kind, to)
	}
	link, err := url.Parse(mails[0].Links[0])
	if err != nil {
		w.Fatal(err)
	}
	return link
}

// cookies are what a browser sends back of the cookies that it was given.
func (r reply) cookies() string {
	r.Helper()
	var pairs []string
	for _, c := range (&http.Response{Header: r.Headers}).Cookies() {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	if len(pairs) == 0 {
		r.Fatalf("no cookie in %v", r.Headers)
	}
	return strings.Join(pairs, "; ")
}
