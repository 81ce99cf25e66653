package pages

// translated is one text in every language.
type translated map[Language]string

// texts are the words of the pages, by key.
var texts = map[string]translated{
	"title.login":          {German: "Anmelden", English: "Sign in"},
	"title.register":       {German: "Konto anlegen", English: "Create an account"},
	"title.verify":         {German: "E-Mail bestätigen", English: "Confirm your e-mail"},
	"title.resend":         {German: "E-Mail bestätigen", English: "Confirm your e-mail"},
	"title.forgot":         {German: "Passwort vergessen", English: "Forgot your password"},
	"title.reset":          {German: "Neues Passwort", English: "New password"},
	"title.mailed":         {German: "Schau in dein Postfach", English: "Check your mailbox"},
	"title.account":        {German: "Dein Konto", English: "Your account"},
	"title.twofactor":      {German: "Zweiter Faktor", English: "Second factor"},
	"title.reauthenticate": {German: "Bist du es?", English: "Is it you?"},
	"title.link":           {German: "Anmelden per E-Mail", English: "Sign in by e-mail"},
	"title.confirm":        {German: "Bitte bestätige", English: "Please confirm"},
	"title.security":       {German: "Zweiter Faktor", English: "Second factor"},
	"title.loop":           {German: "Die Anmeldung kommt nicht an", English: "Signing in does not get through"},
	"title.problem":        {German: "Das hat nicht geklappt", English: "That did not work"},
	"title.price":          {German: "Das kostet Credits", English: "This costs credits"},
	"title.notice":         {German: "Das geht gerade nicht", English: "This is not possible now"},
	"title.docs":           {German: "API", English: "API"},
	"title.gift":           {German: "Ein Geschenk", English: "A gift"},

	"field.name":        {German: "Name (freiwillig)", English: "Name (optional)"},
	"field.email":       {German: "E-Mail", English: "E-mail"},
	"field.password":    {German: "Passwort", English: "Password"},
	"field.newPassword": {German: "Neues Passwort", English: "New password"},
	"field.code":        {German: "Code aus deiner Authenticator-App", English: "Code from your authenticator app"},
	"field.backupCode":  {German: "Backup-Code", English: "Backup code"},
	"field.mailCode":    {German: "Code aus der E-Mail", English: "Code from the e-mail"},
	"hint.invited":      {German: "Die Einladung gilt für diese Adresse.", English: "The invitation is for this address."},
	"hint.password":     {German: "8 bis 128 Zeichen", English: "8 to 128 characters"},

	"login.submit": {German: "Anmelden", English: "Sign in"},
	"login.other":  {German: "Noch kein Konto? Jetzt anlegen", English: "No account yet? Create one"},
	"login.forgot": {German: "Passwort vergessen?", English: "Forgot your password?"},
	"login.link":   {German: "Lieber per E-Mail anmelden", English: "Sign in by e-mail instead"},
	"login.resend": {German: "Den Link zum Bestätigen noch einmal schicken", English: "Send the confirmation link again"},
	"login.verified": {
		German:  "Deine E-Mail-Adresse ist bestätigt. Du kannst dich jetzt anmelden.",
		English: "Your e-mail address is confirmed. You can sign in now.",
	},
	"login.reset": {
		German:  "Dein neues Passwort gilt. Du kannst dich jetzt damit anmelden.",
		English: "Your new password is set. You can sign in with it now.",
	},

	"twofactor.hint":   {German: "6 Ziffern, alle 30 Sekunden andere", English: "6 digits, new ones every 30 seconds"},
	"twofactor.trust":  {German: "Auf diesem Gerät 30 Tage lang nicht mehr fragen", English: "Do not ask again on this device for 30 days"},
	"twofactor.backup": {German: "Gerät verloren? Backup-Code benutzen", English: "Lost your device? Use a backup code"},
	"twofactor.app":    {German: "Doch die Authenticator-App benutzen", English: "Use the authenticator app after all"},
	"reauthenticate.text": {
		German:  "Was jetzt kommt, kann dein Konto verändern. Zeig bitte noch einmal, dass du es bist.",
		English: "What comes next can change your account. Please show once more that it is you.",
	},
	"reauthenticate.submit": {German: "Weiter", English: "Continue"},
	"reauthenticate.as":     {German: "Angemeldet als", English: "Signed in as"},
	"reauthenticate.other":  {German: "Mit einem anderen Konto anmelden", English: "Sign in with another account"},
	"reauthenticate.mail":   {German: "Code per E-Mail schicken", English: "Send me a code by e-mail"},
	"link.text": {
		German:  "Wir schicken dir einen Link und einen Code, mit denen du dich ohne Passwort anmeldest.",
		English: "We will send you a link and a code with which you sign in without a password.",
	},
	"link.submit":                 {German: "Link schicken", English: "Send the link"},
	"confirm.sign-in":             {German: "Ein Klick noch, dann bist du angemeldet.", English: "One more click and you are signed in."},
	"confirm.sign-in.submit":      {German: "Anmelden", English: "Sign in"},
	"confirm.change-email":        {German: "Bestätige, dass dein Konto ab jetzt diese E-Mail-Adresse hat.", English: "Confirm that your account has this e-mail address from now on."},
	"confirm.change-email.submit": {German: "Adresse übernehmen", English: "Use this address"},
	"confirm.undo-email": {
		German:  "Dein Konto bekommt seine vorige E-Mail-Adresse zurück, und alle Geräte werden abgemeldet.",
		English: "Your account gets its previous e-mail address back, and all devices are signed out.",
	},
	"confirm.undo-email.submit": {German: "Änderung rückgängig machen", English: "Undo the change"},

	"security.off": {
		German:  "Mit einem zweiten Faktor reicht dein Passwort allein nicht mehr: Beim Anmelden gibst du zusätzlich einen Code aus einer App auf deinem Handy ein.",
		English: "With a second factor your password alone is not enough any more: when you sign in, you also enter a code from an app on your phone.",
	},
	"security.required": {
		German:  "Hier braucht jedes Konto einen zweiten Faktor. Richte ihn ein, dann geht es dort weiter, wo du hinwolltest.",
		English: "Every account needs a second factor here. Set one up, and you go on to where you wanted to go.",
	},
	"security.onward":   {German: "Weiter", English: "Continue"},
	"security.on":       {German: "Der zweite Faktor ist eingerichtet.", English: "The second factor is set up."},
	"security.left":     {German: "Backup-Codes übrig:", English: "Backup codes left:"},
	"security.trusted":  {German: "Geräte, die nicht gefragt werden:", English: "Devices that are not asked:"},
	"security.enroll":   {German: "Zweiten Faktor einrichten", English: "Set up a second factor"},
	"security.newCodes": {German: "Neue Backup-Codes", English: "New backup codes"},
	"security.disable":  {German: "Zweiten Faktor entfernen", English: "Remove the second factor"},
	"security.scan":     {German: "Scannen", English: "Scan"},
	"security.scanText": {
		German:  "Scanne diesen Code mit deiner Authenticator-App und gib dann ein, was sie anzeigt.",
		English: "Scan this code with your authenticator app, then enter what it shows.",
	},
	"security.qr":      {German: "QR-Code für die Authenticator-App", English: "QR code for the authenticator app"},
	"security.open":    {German: "Auf diesem Gerät in der App öffnen", English: "Open in the app on this device"},
	"security.type":    {German: "Oder tippe dieses Geheimnis ein:", English: "Or type in this secret:"},
	"security.confirm": {German: "Bestätigen", English: "Confirm"},
	"security.codes":   {German: "Deine Backup-Codes", English: "Your backup codes"},
	"security.codesText": {
		German:  "Bewahre sie sicher auf: Jeder meldet dich einmal an, wenn du die App nicht hast. Sie werden nur jetzt gezeigt.",
		English: "Keep them safe: each signs you in once when you do not have the app. They are shown only now.",
	},

	"verify.text": {
		German:  "Bestätige, dass diese E-Mail-Adresse dir gehört und du das Konto angelegt hast.",
		English: "Confirm that this e-mail address is yours and that you created the account.",
	},
	"verify.submit": {German: "E-Mail bestätigen", English: "Confirm e-mail"},
	"resend.text": {
		German:  "Wir schicken dir den Link, mit dem du deine E-Mail-Adresse bestätigst, noch einmal.",
		English: "We will send you the link that confirms your e-mail address again.",
	},
	"resend.submit": {German: "Link schicken", English: "Send the link"},
	"forgot.text": {
		German:  "Wir schicken dir einen Link, mit dem du ein neues Passwort wählst.",
		English: "We will send you a link with which you choose a new password.",
	},
	"forgot.submit": {German: "Link schicken", English: "Send the link"},
	"reset.text": {
		German:  "Alle Geräte werden abgemeldet.",
		English: "All devices will be signed out.",
	},
	"reset.submit": {German: "Passwort speichern", English: "Save password"},
	"proof.back":   {German: "Zur Anmeldung", English: "Back to sign-in"},
	"mailed.verify": {
		German:  "Wir haben dir einen Link geschickt, mit dem du deine E-Mail-Adresse bestätigst:",
		English: "We have sent you a link that confirms your e-mail address:",
	},
	"mailed.reset": {
		German:  "Wenn es dieses Konto gibt, ist jetzt ein Link zu einem neuen Passwort unterwegs:",
		English: "If this account exists, a link to a new password is on its way:",
	},
	"mailed.link": {
		German:  "Wenn es dieses Konto gibt, sind jetzt ein Link und ein Code zum Anmelden unterwegs:",
		English: "If this account exists, a link and a code to sign in are on their way:",
	},
	"mailed.hint": {
		German:  "Nichts angekommen? Sieh auch im Spam-Ordner nach.",
		English: "Nothing there? Have a look at your spam folder too.",
	},
	"mailed.again": {German: "Noch einmal schicken", English: "Send it again"},

	"work.wait": {
		German:  "Gerade kommen sehr viele Anfragen. Bitte warte 20 Sekunden, nachdem sich diese Seite geöffnet hat, und schicke das Formular dann ab.",
		English: "A great many requests are coming in right now. Please wait 20 seconds after this page has opened, then send the form.",
	},
	"work.busy": {German: "Gerade kommen sehr viele Anfragen: Dein Browser löst noch eine kleine Rechenaufgabe …", English: "A great many requests are coming in right now: your browser is solving a small puzzle …"},
	"work.done": {German: "Die Rechenaufgabe ist gelöst, du kannst das Formular abschicken.", English: "The puzzle is solved, you can send the form."},

	"register.submit": {German: "Konto anlegen", English: "Create account"},
	"register.other":  {German: "Schon ein Konto? Anmelden", English: "Already have an account? Sign in"},

	"account.signedIn":     {German: "Angemeldet als", English: "Signed in as"},
	"account.signOut":      {German: "Abmelden", English: "Sign out"},
	"account.agent":        {German: "Technische Angaben", English: "Technical details"},
	"account.current":      {German: "dieses Gerät", English: "this device"},
	"account.app":          {German: "App", English: "App"},
	"account.browser":      {German: "Browser", English: "Browser"},
	"account.lastSeen":     {German: "zuletzt aktiv", English: "last active"},
	"account.revoke":       {German: "Sitzung beenden", English: "End session"},
	"account.revokeOthers": {German: "Alle anderen Sitzungen beenden", English: "End all other sessions"},

	"loop.text": {
		German:  "Du bist angemeldet, aber diese Seite schickt dich immer wieder hierher zurück:",
		English: "You are signed in, but this site keeps sending you back here:",
	},
	"loop.reason": {
		German:  "Meist erreicht das Cookie der Anmeldung sie nicht: Sie liegt unter einer anderen Domain, der Browser blockiert Cookies, oder eine Uhr geht falsch. Warte einen Augenblick und versuche es noch einmal. Hilft das nicht, wende dich an ihren Betreiber.",
		English: "Most often the sign-in cookie does not reach it: it lives under another domain, the browser blocks cookies, or a clock is wrong. Wait a moment and try again. If that does not help, ask the people who run it.",
	},
	"loop.account": {German: "Zum Konto", English: "To your account"},

	"price.text":   {German: "Diese Seite zu öffnen kostet", English: "Opening this page costs"},
	"price.atMost": {German: "höchstens", English: "at most"},
	"price.reason": {
		German:  "Ein Link auf einer anderen Seite hat dich hierher geführt. Bisher wurde nichts abgebucht.",
		English: "A link on another site led you here. Nothing has been charged yet.",
	},
	"price.submit": {German: "Bezahlen und öffnen", English: "Pay and open"},

	"gift.from":         {German: "Von", English: "From"},
	"gift.credit":       {German: "Credit", English: "credit"},
	"gift.credits":      {German: "Credits", English: "credits"},
	"gift.left":         {German: "Noch zu haben:", English: "Still to be had:"},
	"gift.of":           {German: "von", English: "of"},
	"gift.personalized": {German: "Dieses Geschenk ist für eine bestimmte Person.", English: "This gift is for a specific person."},
	"gift.riddle":       {German: "Zum Einlösen gehört die Antwort auf diese Frage:", English: "To redeem it, answer this question:"},
	"gift.code":         {German: "Der Code zum Einlösen:", English: "The code to redeem:"},
	"gift.expires":      {German: "Gültig bis", English: "Valid until"},
	"gift.register":     {German: "Noch kein Konto? Jetzt anlegen", English: "No account yet? Create one"},
	"gift.login":        {German: "Anmelden", English: "Sign in"},

	"gift.unknown": {
		German:  "Diesen Geschenkcode gibt es nicht. Bitte prüfe, ob er richtig geschrieben ist.",
		English: "There is no such gift code. Please check its spelling.",
	},
	"gift.depleted":  {German: "Dieses Geschenk ist schon vollständig eingelöst.", English: "This gift has been fully claimed."},
	"gift.expired":   {German: "Dieses Geschenk ist abgelaufen.", English: "This gift has expired."},
	"gift.cancelled": {German: "Dieses Geschenk wurde zurückgezogen.", English: "This gift has been cancelled."},
	"gift.refunded":  {German: "Dieses Geschenk wurde zurückgezogen.", English: "This gift has been cancelled."},

	"problem.request": {German: "Kennung für den Betreiber:", English: "Id for the people who run this:"},
	"problem.back":    {German: "Zur Startseite", English: "To the start page"},

	"docs.find":     {German: "Suchen", English: "Search"},
	"docs.groups":   {German: "Bereiche", English: "Areas"},
	"docs.found":    {German: "{n} Routen gefunden", English: "{n} routes found"},
	"docs.try":      {German: "Ausprobieren", English: "Try it"},
	"docs.send":     {German: "Senden", English: "Send"},
	"docs.body":     {German: "Inhalt (JSON)", English: "Body (JSON)"},
	"docs.confirm":  {German: "Das gilt für das Konto, mit dem du angemeldet bist. Senden?", English: "This acts on the account that you are signed in with. Send it?"},
	"docs.signin":   {German: "Bitte melde dich zuerst in diesem Browser an.", English: "Please sign in with this browser first."},
	"docs.intro":    {German: "Alle Routen dieses Dienstes. Maschinenlesbar:", English: "Every route of this service. For machines:"},
	"docs.needs":    {German: "Braucht", English: "Needs"},
	"docs.limit":    {German: "Grenze je Adresse", English: "Limit per address"},
	"docs.answers":  {German: "Antworten", English: "Answers"},
	"docs.errors":   {German: "Fehler", English: "Errors"},
	"docs.fields":   {German: "Felder", English: "Fields"},
	"docs.optional": {German: "freiwillig", English: "optional"},
}

// faultTexts are what the pages say of an error, by its code.
var faultTexts = map[string]translated{
	"INTERNAL": {
		German:  "Da ist etwas schiefgegangen. Bitte versuche es noch einmal.",
		English: "Something went wrong. Please try again.",
	},
	"NOT_FOUND": {
		German:  "Diese Seite gibt es nicht. Bitte prüfe die Adresse.",
		English: "There is no such page. Please check the address.",
	},
	"METHOD_NOT_ALLOWED":  {German: "Das geht auf dieser Seite nicht.", English: "This page does not do that."},
	"INVALID_CREDENTIALS": {German: "E-Mail oder Passwort ist falsch.", English: "Invalid email or password."},
	"TWO_FACTOR_FAILED":   {German: "Der Code stimmt nicht.", English: "The code is wrong."},
	"TWO_FACTOR_EXPIRED":  {German: "Die Anmeldung hat zu lange gedauert. Bitte melde dich noch einmal an.", English: "Signing in took too long. Please sign in again."},
	"WRONG_PASSWORD":      {German: "Das Passwort ist falsch.", English: "The password is wrong."},
	"TOO_MANY_MAILS": {
		German:  "Wir haben dir schon mehrere E-Mails geschickt. Bitte sieh in deinem Postfach nach oder warte eine Stunde.",
		English: "We have sent you several e-mails already. Please look into your mailbox or wait an hour.",
	},
	"REAUTHENTICATION_REQUIRED":  {German: "Bitte zeig noch einmal, dass du es bist.", English: "Please show once more that it is you."},
	"TWO_FACTOR_NOT_ENABLED":     {German: "Es ist kein zweiter Faktor eingerichtet.", English: "No second factor is set up."},
	"TWO_FACTOR_ALREADY_ENABLED": {German: "Der zweite Faktor ist schon eingerichtet.", English: "The second factor is set up already."},
	"EMAIL_TAKEN": {
		German:  "Zu dieser E-Mail gibt es schon ein Konto.",
		English: "An account with this e-mail already exists.",
	},
	"LINK_EXPIRED": {
		German:  "Dieser Link gilt nicht mehr. Lass dir einen neuen schicken.",
		English: "This link is not valid any more. Have a new one sent to you.",
	},
	"LINK_OVER": {
		German:  "Dieser Link gilt nicht mehr. Vielleicht wurde er schon benutzt, oder ein späterer hat ihn abgelöst.",
		English: "This link is not valid any more. It may have been used already, or a later one has taken its place.",
	},
	"ACCOUNT_LOCKED": {
		German:  "Zu viele Fehlversuche. Bitte warte etwas, bevor du es noch einmal versuchst.",
		English: "Too many failed sign-ins. Please wait a while before you try again.",
	},
	"RATE_LIMITED": {
		German:  "Zu viele Anfragen. Bitte warte einen Augenblick.",
		English: "Too many requests. Please wait a moment.",
	},
	"PASSWORD_TOO_COMMON": {
		German:  "Dieses Passwort ist zu verbreitet. Bitte wähle ein anderes.",
		English: "This password is too common. Please choose another.",
	},
	"PASSWORD_BREACHED": {
		German:  "Dieses Passwort steht in einer Sammlung gestohlener Passwörter. Bitte wähle ein anderes, und ändere es überall, wo du es benutzt.",
		English: "This password is in a collection of stolen passwords. Please choose another, and change it wherever you use it.",
	},
	"SECOND_FACTOR_REQUIRED": {
		German:  "Hier braucht jedes Konto einen zweiten Faktor. Richte ihn in deinem Konto ein.",
		English: "Every account needs a second factor here. Set one up in your account.",
	},
	"VALIDATION_ERROR": {German: "Bitte prüfe deine Eingaben.", English: "Please check what you entered."},
	"INVALID_INPUT":    {German: "Bitte prüfe deine Eingaben.", English: "Please check what you entered."},
	"UNAVAILABLE": {
		German:  "Der Dienst ist gerade nicht erreichbar. Bitte versuche es gleich noch einmal.",
		English: "The service is not available right now. Please try again shortly.",
	},
	"BUSY": {
		German:  "Gerade melden sich sehr viele an. Bitte versuche es gleich noch einmal.",
		English: "A great many people are signing in. Please try again shortly.",
	},
	"CROSS_SITE": {
		German:  "Dieses Formular kam von einer fremden Seite und wurde nicht angenommen.",
		English: "This form came from another site and was not accepted.",
	},
	"SESSION_CONFLICT": {
		German:  "In diesem Browser sind zwei Konten zugleich angemeldet, und niemand kann sagen, welches deines ist. Bitte lösche die Cookies dieser Seite und ihrer Nachbarn im Browser und melde dich neu an.",
		English: "Two accounts are signed in at once in this browser, and nobody can tell which one is yours. Please delete the cookies of this site and its neighbours in the browser and sign in again.",
	},
	"EMAIL_NOT_VERIFIED": {
		German:  "Deine E-Mail-Adresse ist noch nicht bestätigt. Öffne den Link, den wir dir geschickt haben, oder lass ihn dir noch einmal schicken.",
		English: "Your e-mail address is not confirmed yet. Open the link that we have sent you, or have it sent again.",
	},
	"INVITATION_REQUIRED": {
		German:  "Konten werden hier nur auf Einladung angelegt. Öffne dazu den Link aus deiner Einladung.",
		English: "Accounts are created by invitation only here. Open the link of your invitation to create one.",
	},
	"INVALID_INVITATION": {
		German:  "Diese Einladung gilt nicht mehr. Vielleicht wurde sie schon benutzt; sonst bitte um eine neue.",
		English: "This invitation is not valid any more. It may have been used already; otherwise ask for a new one.",
	},
	"PROOF_OF_WORK_REQUIRED": {
		German:  "Gerade kommen sehr viele Anfragen. Bitte schicke das Formular noch einmal ab, so wie es unten steht.",
		English: "A great many requests are coming in right now. Please send the form once more, as it says below.",
	},
	"ORG_REQUIRED": {
		German:  "Diese Seite ist für Mitglieder einer Organisation, oder für bestimmte Rollen darin. Wechsle in deine Organisation, oder bitte jemanden, der sie verwaltet, dich einzuladen.",
		English: "This page is for members of an organization, or for certain roles in one. Switch to your organization, or ask somebody who manages it to invite you.",
	},
	"REGISTRATION_CLOSED": {
		German:  "Neue Konten werden hier zurzeit nicht angelegt.",
		English: "New accounts are not being created here at present.",
	},
	"BAD_GATEWAY": {
		German:  "Die App ist gerade nicht erreichbar. Bitte versuche es gleich noch einmal.",
		English: "The app cannot be reached right now. Please try again shortly.",
	},
	"GATEWAY_TIMEOUT": {
		German:  "Die App hat zu lange nicht geantwortet. Bitte versuche es später noch einmal.",
		English: "The app took too long to answer. Please try again later.",
	},

	"BODY_TOO_LARGE":         {German: "Die Eingaben sind zu lang.", English: "What you entered is too long."},
	"MALFORMED_BODY":         {German: "Das Formular war nicht lesbar.", English: "The form could not be read."},
	"UNSUPPORTED_MEDIA_TYPE": {German: "Das Formular war nicht lesbar.", English: "The form could not be read."},
	"UNKNOWN_ACTION":         {German: "Das Formular war nicht lesbar.", English: "The form could not be read."},

	"FIELD_name_line":    {German: "Der Name enthält Zeichen, die nicht erlaubt sind.", English: "The name contains characters that are not allowed."},
	"FIELD_email_email":  {German: "Bitte gib eine gültige E-Mail-Adresse ein.", English: "Please enter a valid e-mail address."},
	"FIELD_email_max":    {German: "Bitte gib eine gültige E-Mail-Adresse ein.", English: "Please enter a valid e-mail address."},
	"FIELD_email_text":   {German: "Bitte gib eine gültige E-Mail-Adresse ein.", English: "Please enter a valid e-mail address."},
	"FIELD_password_min": {German: "Das Passwort ist zu kurz.", English: "The password is too short."},
	"FIELD_password_max": {German: "Das Passwort ist zu lang.", English: "The password is too long."},
	"FIELD_password_text": {
		German:  "Das Passwort enthält unzulässige Zeichen.",
		English: "The password has characters that are not allowed.",
	},
	"FIELD_name_max":  {German: "Der Name ist zu lang.", English: "The name is too long."},
	"FIELD_name_text": {German: "Der Name enthält unzulässige Zeichen.", English: "The name has characters that are not allowed."},
}
