package passkeytest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
)

// Algorithm is how a passkey signs.
type Algorithm int

// The algorithms.
const (
	ES256 Algorithm = iota // ECDSA on P-256 with SHA-256
	EdDSA                  // Ed25519
)

// cose is the identifier of the algorithm (RFC 9053).
func (a Algorithm) cose() int64 {
	if a == EdDSA {
		return -8
	}
	return -7
}

func (a Algorithm) generate() (privateKey, error) {
	if a == EdDSA {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return edwards{key}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return curve{key}, err
}

type privateKey interface {
	public() []byte // COSE_Key (RFC 9052 section 7)
	sign(message []byte) ([]byte, error)
}

type curve struct{ *ecdsa.PrivateKey }

func (k curve) public() []byte {
	point, err := k.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic("passkeytest: " + err.Error())
	}
	return object(entry{1, 2}, entry{3, -7}, entry{-1, 1}, entry{-2, point[1:33]}, entry{-3, point[33:]})
}

func (k curve) sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, k.PrivateKey, digest[:])
}

type edwards struct{ ed25519.PrivateKey }

func (k edwards) public() []byte {
	return object(entry{1, 1}, entry{3, -8}, entry{-1, 6}, entry{-2, []byte(k.PrivateKey[ed25519.SeedSize:])})
}

func (k edwards) sign(message []byte) ([]byte, error) {
	return ed25519.Sign(k.PrivateKey, message), nil
}
