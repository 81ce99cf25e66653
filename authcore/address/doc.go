// Package address knows the one form in which an e-mail address is stored,
// compared and counted: trimmed, in normalisation form C, the domain in ASCII
// (IDNA2008, RFC 5891), all in lower case.
//
// Two spellings of one address are one account, and two addresses that look
// the same to a person are not two: a part before the @ that mixes scripts
// (UTS 39, section 5.1), holds compatibility forms such as full-width letters,
// or something that cannot be seen is refused.
package address
