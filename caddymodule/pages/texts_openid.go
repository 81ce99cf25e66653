package pages

// openidTexts are the words of the pages of the OpenID provider, by key.
var openidTexts = map[string]translated{
	"title.consent":   {German: "Zugriff erlauben?", English: "Allow access?"},
	"title.device":    {German: "Gerät verbinden", English: "Connect a device"},
	"title.signout":   {German: "Abmelden?", English: "Sign out?"},
	"title.signedout": {German: "Abgemeldet", English: "Signed out"},
	"title.apps":      {German: "Verbundene Apps", English: "Connected apps"},
	"section.apps":    {German: "Verbundene Apps", English: "Connected apps"},

	"login.for": {German: "Melde dich an, um weiterzugehen zu", English: "Sign in to go on to"},

	"consent.asks":   {German: "möchte mit deinem Konto arbeiten:", English: "would like to use your account:"},
	"consent.gets":   {German: "Sie bekommt damit:", English: "It would get:"},
	"consent.allow":  {German: "Erlauben", English: "Allow"},
	"consent.refuse": {German: "Ablehnen", English: "Refuse"},
	"consent.later":  {German: "Du kannst das unter „Verbundene Apps“ jederzeit zurücknehmen.", English: "You can take this back at any time under “Connected apps”."},

	"scope.openid":         {German: "wer du bist (eine Kennung deines Kontos)", English: "who you are (an id of your account)"},
	"scope.profile":        {German: "deinen Namen und dein Bild", English: "your name and your picture"},
	"scope.email":          {German: "deine E-Mail-Adresse", English: "your e-mail address"},
	"scope.offline_access": {German: "Zugang, auch wenn du gerade nicht da bist", English: "access while you are not there"},

	"device.text":    {German: "Gib den Code ein, den dein Gerät zeigt.", English: "Enter the code that your device shows."},
	"device.code":    {German: "Code", English: "Code"},
	"device.next":    {German: "Weiter", English: "Go on"},
	"device.compare": {German: "Erlaube es nur, wenn du das Gerät vor dir hast und es diesen Code zeigt:", English: "Allow it only if you have the device before you and it shows this code:"},
	"device.allowed": {German: "Das Gerät ist verbunden. Du kannst diese Seite schließen.", English: "The device is connected. You can close this page."},
	"device.refused": {German: "Das Gerät bekommt keinen Zugang.", English: "The device gets no access."},

	"signout.text":   {German: "Damit bist du in allen Apps abgemeldet, die dieses Konto benutzen.", English: "This signs you out of all apps that use this account."},
	"signout.submit": {German: "Abmelden", English: "Sign out"},
	"signout.stay":   {German: "Angemeldet bleiben", English: "Stay signed in"},
	"signedout.text": {German: "Du bist abgemeldet.", English: "You are signed out."},

	"apps.text":       {German: "Diese Apps dürfen mit deinem Konto arbeiten.", English: "These apps may use your account."},
	"apps.none":       {German: "Keine App benutzt dein Konto.", English: "No app uses your account."},
	"apps.since":      {German: "verbunden seit", English: "connected since"},
	"apps.used":       {German: "zuletzt benutzt", English: "used last"},
	"apps.gone":       {German: "gibt es nicht mehr", English: "is not there any more"},
	"apps.signed":     {German: "angemeldet", English: "signed in"},
	"apps.revoke":     {German: "Zugriff entziehen", English: "Take the access away"},
	"done.revoked":    {German: "Die App hat keinen Zugriff mehr.", English: "The app has no access any more."},
	"apps.ownTrusted": {German: "gehört zu diesem Dienst", English: "belongs to this service"},
}

// openidFaultTexts are what those pages say of an error, by its code.
var openidFaultTexts = map[string]translated{
	"CONSENT_OVER":         {German: "Diese Frage gilt nicht mehr. Geh zurück zur App und versuche es noch einmal.", English: "This question is not valid any more. Go back to the app and try again."},
	"USER_CODE":            {German: "Dieser Code gilt nicht (mehr). Lass dir vom Gerät einen neuen zeigen.", English: "This code is not valid (any more). Have the device show you another one."},
	"CLIENT_NOT_FOUND":     {German: "Diese App gibt es hier nicht.", English: "There is no such app here."},
	"INVALID_CLIENT":       {German: "Diese App gibt es hier nicht.", English: "There is no such app here."},
	"INVALID_REDIRECT_URI": {German: "Die App nennt eine Adresse, die nicht für sie eingetragen ist. Wir leiten dich nicht dorthin.", English: "The app names an address that is not registered for it. We do not lead you there."},
	"INVALID_REQUEST":      {German: "Die Anfrage der App ist fehlerhaft.", English: "The request of the app is faulty."},
}
