package pages

// providerTexts are the words of sign-in by others, by key.
var providerTexts = map[string]translated{
	"title.signins":        {German: "Verbundene Anmeldungen", English: "Connected sign-ins"},
	"title.providerfailed": {German: "Die Anmeldung hat nicht geklappt", English: "Signing in did not work"},
	"title.address":        {German: "Deine E-Mail-Adresse", English: "Your e-mail address"},
	"section.signins":      {German: "Verbundene Anmeldungen", English: "Connected sign-ins"},

	"provider.list":      {German: "Anmelden mit einem anderen Konto", English: "Sign in with another account"},
	"provider.continue":  {German: "Weiter mit", English: "Continue with"},
	"provider.which":     {German: "Anmeldung mit:", English: "Signing in with:"},
	"provider.retry":     {German: "Noch einmal versuchen", English: "Try again"},
	"provider.otherwise": {German: "Zurück", English: "Go back"},
	"provider.onward":    {German: "Gleich geht es weiter bei:", English: "You are taken to:"},

	"signins.text": {
		German:  "Mit diesen Konten anderer Anbieter kannst du dich hier anmelden.",
		English: "You can sign in here with these accounts of other providers.",
	},
	"signins.none":        {German: "Noch keines ist verbunden.", English: "None is connected yet."},
	"signins.linked":      {German: "verbunden am", English: "connected on"},
	"signins.unlink":      {German: "Trennen", English: "Disconnect"},
	"signins.add":         {German: "Konto verbinden", English: "Connect an account"},
	"signins.connect":     {German: "Verbinden mit", English: "Connect with"},
	"signins.unavailable": {German: "Hier gibt es keine anderen Anbieter.", English: "There are no other providers here."},

	"address.text": {
		German:  "Damit wir dir ein Konto anlegen können, brauchen wir deine E-Mail-Adresse. Wir haben keine bekommen von:",
		English: "To make an account for you we need your e-mail address. We were not given one by:",
	},
	"address.again":  {German: "Damit wir dir ein Konto anlegen können, brauchen wir deine E-Mail-Adresse.", English: "To make an account for you we need your e-mail address."},
	"address.hint":   {German: "Wir schicken dir einen Link, um sie zu bestätigen.", English: "We send you a link to confirm it."},
	"address.submit": {German: "Weiter", English: "Continue"},

	"done.linked":   {German: "Das Konto ist verbunden.", English: "The account is connected."},
	"done.unlinked": {German: "Das Konto ist getrennt.", English: "The account is disconnected."},
}

// providerFaultTexts are what is said of errors of sign-in by others, by code.
var providerFaultTexts = map[string]translated{
	"PROVIDER_FAILED": {
		German:  "Die Anmeldung bei diesem Anbieter ist fehlgeschlagen. Es wurde nichts verändert. Versuche es noch einmal von vorn.",
		English: "Signing in with this provider failed. Nothing was changed. Try again from the start.",
	},
	"PROVIDER_DENIED": {
		German:  "Du hast die Anmeldung beim Anbieter abgebrochen.",
		English: "You cancelled signing in at the provider.",
	},
	"PROVIDER_UNAVAILABLE": {
		German:  "Der Anbieter antwortet gerade nicht. Versuche es später noch einmal, oder melde dich anders an.",
		English: "The provider does not answer at the moment. Try again later, or sign in another way.",
	},
	"PROVIDER_NOT_FOUND": {German: "Diesen Anbieter gibt es hier nicht.", English: "There is no such provider here."},
	"PROVIDER_EXPIRED": {
		German:  "Diese Anmeldung ist abgelaufen, wurde schon benutzt oder in einem anderen Browser begonnen. Beginne noch einmal von vorn.",
		English: "This sign-in has expired, was used before, or was begun in another browser. Begin again from the start.",
	},
	"ACCOUNT_DISABLED": {German: "Dieses Konto ist gesperrt.", English: "This account is disabled."},
	"ADDRESS_TAKEN": {
		German:  "Zu dieser E-Mail-Adresse gibt es hier schon ein Konto. Melde dich so an wie bisher; danach kannst du diesen Anbieter unter „Verbundene Anmeldungen“ verbinden.",
		English: "There is an account with this e-mail address already. Sign in as you did before; then you can connect this provider under “Connected sign-ins”.",
	},
	"ACCOUNT_LINKED_ELSEWHERE": {
		German:  "Dieses Konto beim Anbieter ist schon mit einem anderen Konto hier verbunden.",
		English: "This account of the provider is connected to another account here already.",
	},
	"ACCOUNT_NOT_LINKED": {
		German:  "Das ist ein Konto, das nicht mit deinem verbunden ist.",
		English: "This is an account that is not connected to yours.",
	},
	"TOO_MANY_ACCOUNTS": {German: "Mehr Konten lassen sich nicht verbinden.", English: "No more accounts can be connected."},
	"ACCOUNT_NOT_FOUND": {German: "Dieses Konto ist nicht mehr verbunden.", English: "This account is not connected any more."},
	"PASSWORDS_OFF": {
		German:  "Mit Passwort oder Link kann man sich hier nicht anmelden. Benutze einen der Anbieter.",
		English: "Nobody signs in with a password or a link here. Use one of the providers.",
	},
	"EMAIL_REQUIRED": {German: "Wir brauchen deine E-Mail-Adresse.", English: "We need your e-mail address."},
}
