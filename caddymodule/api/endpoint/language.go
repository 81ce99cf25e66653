package endpoint

import (
	"net/http"
	"strings"

	"mana.how/edge/caddymodule/pages"
)

// languageMaxAge is how long a chosen language is remembered, in seconds: a year.
const languageMaxAge = "31536000"

// languageCookie remembers the language that somebody chose at the foot of a
// page. Over https its prefix keeps other hosts from setting it.
func (s *server) languageCookie() string {
	if s.BaseURL.Scheme == "https" {
		return "__Host-" + pages.LanguageCookie
	}
	return pages.LanguageCookie
}

// languageOf is the language of an answer: the one the address asks for, else the
// one that was chosen, else what the browser prefers.
func (s *server) languageOf(r *http.Request) pages.Language {
	if chosen, ok := pages.Named(r.URL.Query().Get(pages.LanguageParam)); ok {
		return chosen
	}
	if chosen, ok := s.chosenLanguage(r); ok {
		return chosen
	}
	return pages.LanguageOf(r.Header.Get("Accept-Language"))
}

func (s *server) chosenLanguage(r *http.Request) (pages.Language, bool) {
	cookie, err := r.Cookie(s.languageCookie())
	if err != nil {
		return "", false
	}
	return pages.Named(cookie.Value)
}

// ChoseLanguage reports whether somebody chose a language in this browser.
func (c *Call) ChoseLanguage() bool {
	_, chosen := c.server.chosenLanguage(c.Request)
	return chosen
}

// rememberLanguage keeps what the address asks for.
func (s *server) rememberLanguage(h http.Header, r *http.Request) {
	chosen, ok := pages.Named(r.URL.Query().Get(pages.LanguageParam))
	if !ok {
		return
	}
	if known, ok := s.chosenLanguage(r); ok && known == chosen {
		return
	}
	h.Add("Set-Cookie", s.setLanguage(chosen))
}

func (s *server) setLanguage(chosen pages.Language) string {
	secure := ""
	if s.BaseURL.Scheme == "https" {
		secure = "; Secure"
	}
	return s.languageCookie() + "=" + string(chosen) + "; Max-Age=" + languageMaxAge + "; Path=/; HttpOnly" + secure + "; SameSite=Lax"
}

// SpeakLanguage has this browser see the pages in the language of a tag, if there is one.
func (c *Call) SpeakLanguage(tag string) {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	if language, ok := pages.Named(primary); ok {
		c.SetCookie(c.server.setLanguage(language))
	}
}
