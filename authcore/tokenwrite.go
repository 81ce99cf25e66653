package authcore

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
)

// signToken makes a compact JWS (RFC 7515) of the claims, in ASCII, because
// browsers read it with atob. Times lose their fraction of a second. The
// header is alg and kid, nothing else.
func signToken(k key, c Claims) (string, error) {
	token, _, err := signTokenApart(k, c)
	return token, err
}

// signTokenApart gives the signature apart too: with it [joinToken] makes the
// same token again.
func signTokenApart(k key, c Claims) (token string, signature []byte, err error) {
	if k.Private == nil {
		return "", nil, errors.New("sign a token: no private key")
	}
	input := appendInput(make([]byte, 0, usualToken), k.ID, c)
	signature = ed25519.Sign(k.Private, input)
	token = closeToken(input, signature)
	if len(token) > maxTokenLength {
		return "", nil, errors.New("sign a token: claims too long")
	}
	return token, signature, nil
}

// joinToken makes a token of claims and of the signature that they have got
// under the key.
func joinToken(kid string, c Claims, signature []byte) string {
	return closeToken(appendInput(make([]byte, 0, usualToken), kid, c), signature)
}

// usualToken is the room that nearly every token fits in.
const usualToken = 640

// appendInput appends what is signed: header and payload, encoded. It gives
// the same bytes for the same arguments.
func appendInput(dst []byte, kid string, c Claims) []byte {
	var buffer [usualToken * 3 / 4]byte // on the stack
	dst = segments.AppendEncode(dst, appendHeader(buffer[:0], kid))
	dst = append(dst, '.')
	return segments.AppendEncode(dst, appendPayload(buffer[:0], c))
}

func closeToken(input, signature []byte) string {
	return string(segments.AppendEncode(append(input, '.'), signature))
}

func appendHeader(doc []byte, kid string) []byte {
	doc = append(doc, `{"alg":"`+algorithm+`","kid":`...)
	return append(appendText(doc, kid), '}')
}

func appendPayload(doc []byte, c Claims) []byte {
	doc = appendText(append(doc, `{"sub":`...), c.Subject)
	doc = appendText(append(doc, `,"email":`...), c.Email)
	doc = strconv.AppendBool(append(doc, `,"email_verified":`...), c.EmailVerified)
	doc = appendText(append(doc, `,"role":`...), string(c.Role))
	doc = appendText(append(doc, `,"sid":`...), c.SessionID)
	doc = strconv.AppendInt(append(doc, `,"auth_epoch":`...), int64(c.AuthEpoch), 10)
	doc = appendText(append(doc, `,"iss":`...), c.Issuer)
	doc = appendText(append(doc, `,"aud":`...), c.Audience)
	doc = appendDate(append(doc, `,"exp":`...), c.Expires)
	doc = appendDate(append(doc, `,"iat":`...), c.IssuedAt)
	if !c.NotBefore.IsZero() {
		doc = appendDate(append(doc, `,"nbf":`...), c.NotBefore)
	}
	doc = appendText(append(doc, `,"jti":`...), c.ID)
	if c.OrganizationID != "" {
		doc = appendText(append(doc, `,"org":`...), c.OrganizationID)
	}
	return append(doc, '}')
}

func appendDate(doc []byte, t time.Time) []byte { return strconv.AppendInt(doc, t.Unix(), 10) }

// appendText appends a JSON string in ASCII. Nearly every text stands for
// itself.
func appendText(doc []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c > '~', c == '"', c == '\\':
			return appendEscaped(doc, text)
		}
	}
	return append(append(append(doc, '"'), text...), '"')
}

// appendEscaped writes every character above U+007F as \u escapes (RFC 8259,
// section 7).
func appendEscaped(doc []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // no text fails
	}
	for _, r := range string(quoted) {
		switch {
		case r < 0x80:
			doc = append(doc, byte(r))
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			doc = fmt.Appendf(doc, `\u%04x\u%04x`, high, low)
		default:
			doc = fmt.Appendf(doc, `\u%04x`, r)
		}
	}
	return doc
}
