package passkeytest

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
)

// clientData is what a browser says of the page that asks (WebAuthn section 5.8.1).
func (a *Authenticator) clientData(ceremony string, challenge encoded) []byte {
	raw, err := json.Marshal(struct {
		Type        string  `json:"type"`
		Challenge   encoded `json:"challenge"`
		Origin      string  `json:"origin"`
		CrossOrigin bool    `json:"crossOrigin"`
		TopOrigin   string  `json:"topOrigin,omitempty"`
	}{ceremony, challenge, a.Origin, a.CrossOrigin, a.TopOrigin})
	if err != nil {
		panic("passkeytest: " + err.Error())
	}
	return raw
}

// The flags of authenticator data (WebAuthn section 6.1).
const (
	userPresent    = 1 << 0
	userVerified   = 1 << 2
	backupEligible = 1 << 3
	backedUp       = 1 << 4
	attestedData   = 1 << 6
)

// authenticatorData is what an authenticator signs (WebAuthn section 6.1).
func (a *Authenticator) authenticatorData(c *credential, flags byte) []byte {
	for flag, set := range map[byte]bool{
		userPresent: !a.Absent, userVerified: !a.Unverified, backupEligible: a.BackupEligible, backedUp: a.BackedUp,
	} {
		if set {
			flags |= flag
		}
	}
	rpID := c.rpID
	if a.RPID != "" {
		rpID = a.RPID
	}
	hash := sha256.Sum256([]byte(rpID))
	return binary.BigEndian.AppendUint32(append(hash[:], flags), c.counter)
}

// attestedData is authenticator data with the new passkey (WebAuthn section
// 6.5.1).
func (a *Authenticator) attestedData(c *credential) []byte {
	data := append(a.authenticatorData(c, attestedData), a.AAGUID[:]...)
	data = binary.BigEndian.AppendUint16(data, uint16(len(c.id)))
	key := a.Key
	if key == nil {
		key = c.key.public()
	}
	return append(append(data, c.id...), key...)
}

// signed is what a signature is over (WebAuthn section 6.3.3).
func signed(authenticatorData, clientData []byte) []byte {
	hash := sha256.Sum256(clientData)
	return append(append([]byte(nil), authenticatorData...), hash[:]...)
}
