// Command verify checks the history of an account of Mana Edge without anything of
// Mana Edge: it reads what GET /api/v1/credits/proof answers, or an export of one's own
// data, and knows the format from docs/credits.md, "Proof", alone.
//
//	verify [-keys jwks.json] [-root root.jws] [-receipt receipt.jws]... credits-proof.json
//
// -keys are public keys that were fetched before, or from elsewhere; without it those
// of the file are taken. -root is a signed root that was kept when it was published: the
// one of the file must be the same. -receipt is a Mana-Receipt, whose charge must be in
// the history. It ends with 1 and says why where something does not fit.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

type row struct {
	Sequence       int64   `json:"sequence"`
	ID             string  `json:"id"`
	Type           string  `json:"type"`
	Status         string  `json:"status"`
	Amount         int64   `json:"amount"`
	BalanceBefore  int64   `json:"balanceBefore"`
	BalanceAfter   int64   `json:"balanceAfter"`
	AppID          string  `json:"appId"`
	Operation      string  `json:"operation"`
	Description    string  `json:"description"`
	Metadata       *string `json:"metadata"`
	IdempotencyKey *string `json:"idempotencyKey"`
	InternalKey    *string `json:"internalKey"`
	Reverses       *string `json:"reverses"`
	HoldID         *string `json:"holdId"`
	APIKeyID       *string `json:"apiKeyId"`
	SpentBy        *string `json:"spentBy"`
	CreatedAt      string  `json:"createdAt"`
	CompletedAt    *string `json:"completedAt"`
	Hash           *string `json:"hash"`
}

type document struct {
	Format    string     `json:"format"`
	Account   string     `json:"account"`
	Keys      keySet     `json:"keys"`
	Root      *string    `json:"root"`
	Inclusion *inclusion `json:"inclusion"`
	Rows      []row      `json:"rows"`
}

type inclusion struct {
	Day        string   `json:"day"`
	Sequence   int64    `json:"sequence"`
	Hash       string   `json:"hash"`
	Bucket     int64    `json:"bucket"`
	Index      int64    `json:"index"`
	Size       int64    `json:"size"`
	Path       []string `json:"path"`
	BucketPath []string `json:"bucketPath"`
}

type keySet struct {
	Keys []struct {
		ID    string `json:"kid"`
		Curve string `json:"crv"`
		X     string `json:"x"`
	} `json:"keys"`
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	keys := flag.String("keys", "", "a JWK set to verify by, in place of that of the file")
	root := flag.String("root", "", "a signed root that was kept: the file must have the same")
	var receipts list
	flag.Var(&receipts, "receipt", "a receipt whose charge must be in the history")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := verify(flag.Arg(0), *keys, *root, receipts); err != nil {
		fmt.Fprintln(os.Stderr, "verify:", err)
		os.Exit(1)
	}
}

func verify(file, keyFile, rootFile string, receipts []string) error {
	doc, err := read(file)
	if err != nil {
		return err
	}
	if doc.Format != "mana-ledger-1" {
		return fmt.Errorf("the format is %q, not mana-ledger-1", doc.Format)
	}
	if keyFile != "" {
		if err := load(keyFile, &doc.Keys); err != nil {
			return err
		}
	}
	hashes, err := chain(doc)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows of account %s are chained without a gap\n", len(doc.Rows), doc.Account)
	if err := covered(doc, hashes, rootFile); err != nil {
		return err
	}
	for _, file := range receipts {
		if err := receipt(doc, file); err != nil {
			return fmt.Errorf("receipt %s: %w", file, err)
		}
	}
	return nil
}

// read takes the document, or the part of an export that is one.
func read(file string) (doc document, err error) {
	var export struct {
		Proof *document `json:"creditProof"`
	}
	if err := load(file, &export); err != nil {
		return doc, err
	}
	if export.Proof != nil {
		return *export.Proof, nil
	}
	err = load(file, &doc)
	return doc, err
}

func load(file string, into any) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// chain walks the rows and returns their hashes.
func chain(doc document) ([][]byte, error) {
	var before []byte
	hashes := make([][]byte, len(doc.Rows))
	balance, chained, unproven := int64(0), false, 0
	for i, r := range doc.Rows {
		name := fmt.Sprintf("row %d (%s)", r.Sequence, r.ID)
		if r.Sequence != int64(i)+1 {
			return nil, fmt.Errorf("%s stands where row %d should", name, i+1)
		}
		if r.BalanceBefore != balance || r.BalanceBefore+r.Amount != r.BalanceAfter {
			return nil, fmt.Errorf("%s: %d and %d do not make %d, or the row before ended with %d", name, r.BalanceBefore, r.Amount, r.BalanceAfter, balance)
		}
		balance = r.BalanceAfter
		if r.Hash == nil { // from before there were hashes
			if chained {
				return nil, fmt.Errorf("%s has no hash, although rows before it have", name)
			}
			unproven++
			before = nil
		}
		hash, err := hashOf(doc.Account, r, before)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if r.Hash != nil {
			if chained = true; hex.EncodeToString(hash) != *r.Hash {
				return nil, fmt.Errorf("%s: its hash is %s, what it says makes %x", name, *r.Hash, hash)
			}
		}
		before, hashes[i] = hash, hash
	}
	if unproven > 0 {
		fmt.Printf("%d rows are from before there were hashes: of these only the last is proven\n", unproven)
	}
	return hashes, nil
}

// hashOf is the SHA-256 of the columns as PostgreSQL sends a record: their number,
// and for each the number of its type, its length and its bytes.
func hashOf(account string, r row, before []byte) ([]byte, error) {
	var b bytes.Buffer
	number := func(n uint32) { b.Write(binary.BigEndian.AppendUint32(nil, n)) }
	column := func(kind uint32, value []byte) {
		number(kind)
		if value == nil {
			number(1<<32 - 1)
			return
		}
		number(uint32(len(value)))
		b.Write(value)
	}
	text := func(s string) { column(25, append([]byte{}, s...)) }
	optional := func(s *string) {
		if s == nil {
			column(25, nil)
			return
		}
		text(*s)
	}
	integer := func(n int64) { column(20, binary.BigEndian.AppendUint64(nil, uint64(n))) }
	var faults error
	moment := func(s *string) {
		if s == nil {
			column(1184, nil)
			return
		}
		at, err := time.Parse("2006-01-02T15:04:05.000000Z", *s)
		faults = errors.Join(faults, err)
		since := at.UnixMicro() - time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
		column(1184, binary.BigEndian.AppendUint64(nil, uint64(since)))
	}
	number(21)
	column(17, before)
	text(account)
	integer(r.Sequence)
	text(r.ID)
	text(r.Type)
	text(r.Status)
	integer(r.Amount)
	integer(r.BalanceBefore)
	integer(r.BalanceAfter)
	text(r.AppID)
	text(r.Operation)
	text(r.Description)
	if r.Metadata == nil {
		column(3802, nil)
	} else {
		column(3802, append([]byte{1}, *r.Metadata...))
	}
	for _, s := range []*string{r.IdempotencyKey, r.InternalKey, r.Reverses, r.HoldID, r.APIKeyID, r.SpentBy} {
		optional(s)
	}
	moment(&r.CreatedAt)
	moment(r.CompletedAt)
	hash := sha256.Sum256(b.Bytes())
	return hash[:], faults
}

// covered checks that a signed root has a row of the account.
func covered(doc document, hashes [][]byte, rootFile string) error {
	if doc.Root == nil || doc.Inclusion == nil {
		if rootFile != "" {
			return errors.New("the file has no root")
		}
		fmt.Println("no root covers the account yet")
		return nil
	}
	if rootFile != "" {
		kept, err := os.ReadFile(rootFile)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(kept)) != *doc.Root {
			return errors.New("the root of the file is not the one that was kept")
		}
	}
	var said struct {
		Day  string `json:"day"`
		Root string `json:"root"`
	}
	if err := open(doc.Keys, *doc.Root, "mana-root+jwt", &said); err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	in := *doc.Inclusion
	if in.Sequence < 1 || in.Sequence > int64(len(hashes)) || hex.EncodeToString(hashes[in.Sequence-1]) != in.Hash {
		return fmt.Errorf("the root has another row %d than the history", in.Sequence)
	}
	var leaf bytes.Buffer
	leaf.WriteByte(0)
	for _, v := range [][]byte{
		{0, 0, 0, 3, 0, 0, 0, 25}, binary.BigEndian.AppendUint32(nil, uint32(len(doc.Account))), []byte(doc.Account),
		{0, 0, 0, 20, 0, 0, 0, 8}, binary.BigEndian.AppendUint64(nil, uint64(in.Sequence)), {0, 0, 0, 17, 0, 0, 0, 32}, hashes[in.Sequence-1],
	} {
		leaf.Write(v)
	}
	bucket := sha256.Sum256([]byte(doc.Account))
	tree, err := climb(sha256.Sum256(leaf.Bytes()), in.Index, in.Size, in.Path)
	if err != nil || in.Bucket != int64(bucket[0]) || in.Day != said.Day {
		return errors.Join(errors.New("the path to the root does not fit the account"), err)
	}
	root, err := climb(sha256.Sum256(append([]byte{0}, tree[:]...)), in.Bucket, 256, in.BucketPath)
	if err != nil || hex.EncodeToString(root[:]) != said.Root {
		return errors.Join(fmt.Errorf("the path leads to %x, the root is %s", root, said.Root), err)
	}
	fmt.Printf("row %d and all before it are covered by the root of %s, %s\n", in.Sequence, said.Day, said.Root)
	return nil
}

// climb goes from a leaf to its root (RFC 9162, section 2.1.3.2).
func climb(hash [32]byte, index, size int64, path []string) ([32]byte, error) {
	at, last := index, size-1
	if index < 0 || index > last {
		return hash, errors.New("the leaf is outside the tree")
	}
	for _, step := range path {
		p, err := hex.DecodeString(step)
		if err != nil || len(p) != 32 || last == 0 {
			return hash, errors.New("the path is none")
		}
		if at&1 == 1 || at == last {
			hash = sha256.Sum256(append(append([]byte{1}, p...), hash[:]...))
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		} else {
			hash = sha256.Sum256(append(append([]byte{1}, hash[:]...), p...))
		}
		at, last = at>>1, last>>1
	}
	if last != 0 {
		return hash, errors.New("the path is too short")
	}
	return hash, nil
}

// open verifies a JWS in compact form (RFC 7515, RFC 8037) and reads its payload.
func open(keys keySet, statement, kind string, into any) error {
	part := strings.Split(strings.TrimSpace(statement), ".")
	if len(part) != 3 {
		return errors.New("it is no JWS")
	}
	var decoded [3][]byte
	for i, p := range part {
		raw, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil {
			return err
		}
		decoded[i] = raw
	}
	var head struct{ Alg, Kid, Typ string }
	if err := json.Unmarshal(decoded[0], &head); err != nil {
		return err
	}
	if head.Alg != "EdDSA" || head.Typ != kind {
		return fmt.Errorf("it is %s of algorithm %s", head.Typ, head.Alg)
	}
	for _, k := range keys.Keys {
		public, err := base64.RawURLEncoding.DecodeString(k.X)
		if k.ID != head.Kid || k.Curve != "Ed25519" || err != nil || len(public) != ed25519.PublicKeySize {
			continue
		}
		if !ed25519.Verify(public, []byte(part[0]+"."+part[1]), decoded[2]) {
			return errors.New("the signature is wrong")
		}
		return json.Unmarshal(decoded[1], into)
	}
	return fmt.Errorf("no key is named %s", head.Kid)
}

// receipt checks that the history has what a receipt says was charged.
func receipt(doc document, file string) error {
	statement, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var said struct {
		RequestID    string      `json:"jti"`
		Cost         json.Number `json:"cost"`
		Transactions []string    `json:"transactions"`
	}
	if err := open(doc.Keys, string(statement), "mana-receipt+jwt", &said); err != nil {
		return err
	}
	charged := int64(0)
	for _, id := range said.Transactions {
		found := false
		for _, r := range doc.Rows {
			if r.ID == id {
				found, charged = true, charged-r.Amount
			}
		}
		if !found {
			return fmt.Errorf("the history has no row %s", id)
		}
	}
	cost, ok := new(big.Rat).SetString(said.Cost.String())
	if !ok || len(said.Transactions) > 0 && cost.Mul(cost, big.NewRat(1000, 1)).Cmp(big.NewRat(charged, 1)) != 0 {
		return fmt.Errorf("it says %s credits, the history has %d thousandths", said.Cost, charged)
	}
	fmt.Printf("receipt of request %s: %s credits, in the history\n", said.RequestID, said.Cost)
	return nil
}
