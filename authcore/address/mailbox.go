package address

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Mailbox is where the mail of an address arrives.
type Mailbox struct {
	// Name is the same for every spelling of an address that the same mailbox
	// reads, as far as that can be told: without what stands behind a plus, and
	// at Gmail without dots. It is for telling people apart, never for sending.
	Name string
	// Domain is what stands behind the @.
	Domain string
	// Registrable is the part of Domain that somebody registered: a.example.co.uk
	// is of example.co.uk (Public Suffix List).
	Registrable string
	// Public says that anybody can have addresses of the domain.
	Public bool
}

// MailboxOf is where the mail of an address arrives, which is in the form of
// [Canonical].
func MailboxOf(canonical string) Mailbox {
	at := strings.LastIndexByte(canonical, '@')
	local, domain := canonical[:max(at, 0)], canonical[at+1:]
	m := Mailbox{Domain: domain, Registrable: domain, Public: publicProviders[domain]}
	if registrable, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		m.Registrable = registrable
	}
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	if domain == "googlemail.com" {
		domain = "gmail.com"
	}
	if domain == "gmail.com" {
		local = strings.ReplaceAll(local, ".", "")
	}
	m.Name = local + "@" + domain
	return m
}

// publicProviders are the domains of large mail providers that give an address to
// whoever asks. One that is missing counts as somebody's own.
var publicProviders = setOf(`
	gmail.com googlemail.com
	outlook.com outlook.de outlook.fr outlook.es outlook.it hotmail.com hotmail.de hotmail.fr hotmail.it hotmail.es hotmail.co.uk
	live.com live.de live.fr live.nl live.co.uk msn.com
	yahoo.com yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.uk yahoo.co.jp yahoo.co.in yahoo.com.br ymail.com rocketmail.com myyahoo.com aol.com aol.de
	icloud.com me.com mac.com
	gmx.de gmx.net gmx.com gmx.at gmx.ch web.de freenet.de t-online.de arcor.de online.de mail.de mailbox.org posteo.de posteo.net
	proton.me protonmail.com pm.me tutanota.com tutanota.de tuta.com tutamail.com tuta.io fastmail.com zoho.com hey.com duck.com mail.com
	bluewin.ch hispeed.ch sunrise.ch a1.net aon.at chello.at
	orange.fr free.fr laposte.net sfr.fr wanadoo.fr libero.it virgilio.it tiscali.it alice.it tin.it ziggo.nl kpnmail.nl
	wp.pl o2.pl onet.pl interia.pl seznam.cz centrum.cz
	btinternet.com sky.com virginmedia.com comcast.net verizon.net att.net sbcglobal.net cox.net bellsouth.net
	mail.ru bk.ru inbox.ru list.ru yandex.ru yandex.com ya.ru rambler.ru ukr.net
	qq.com foxmail.com 163.com 126.com sina.com naver.com daum.net hanmail.net docomo.ne.jp
	uol.com.br bol.com.br terra.com.br rediffmail.com
`)

func setOf(list string) map[string]bool {
	set := make(map[string]bool)
	for _, domain := range strings.Fields(list) {
		set[domain] = true
	}
	return set
}
