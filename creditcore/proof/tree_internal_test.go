package proof

import (
	"encoding/hex"
	"strconv"
	"testing"
)

// treeOf is RFC 9162, section 2.1.1, word for word.
func treeOf(data [][]byte) Hash {
	switch len(data) {
	case 0:
		return sha256Of("")
	case 1:
		return sha256Of("\x00" + string(data[0]))
	}
	k := 1
	for 2*k < len(data) {
		k *= 2
	}
	left, right := treeOf(data[:k]), treeOf(data[k:])
	return sha256Of("\x01" + string(left[:]) + string(right[:]))
}

// The tree that is added up is that of the RFC, and each leaf leads to its root by
// its path alone.
func TestTree(t *testing.T) {
	t.Parallel()
	var data [][]byte
	var leaves []Hash
	for size := range 70 {
		root := rootOf(leaves)
		if root != treeOf(data) {
			t.Errorf("%d leaves: %s", size, root)
		}
		for i := range leaves {
			path := pathOf(leaves, i)
			if got, ok := rootFrom(leaves[i], int64(i), int64(size), path); !ok || got != root {
				t.Errorf("leaf %d of %d does not lead to the root: %s, %t", i, size, got, ok)
			}
			if got, ok := rootFrom(leaves[i], int64((i+1)%size), int64(size), path); size > 1 && ok && got == root {
				t.Errorf("leaf %d of %d leads to the root from another place", i, size)
			}
			if len(path) > 0 {
				if got, ok := rootFrom(leaves[i], int64(i), int64(size), path[1:]); ok && got == root {
					t.Errorf("leaf %d of %d leads to the root by a part of its path", i, size)
				}
			}
		}
		data = append(data, []byte("leaf "+strconv.Itoa(size)))
		leaves = append(leaves, leafHash(data[size]))
	}
	if _, ok := rootFrom(leaves[0], 5, 5, nil); ok {
		t.Error("a place outside the tree is taken")
	}
}

// The hash of a row stays what it is: exports of today are verified in years.
func TestHashStays(t *testing.T) {
	t.Parallel()
	text := `{"a": 1.50}`
	r := Row{UserID: "u", Sequence: 2, ID: "i", Type: "usage", Status: "completed", Amount: -5, BalanceBefore: 10, BalanceAfter: 5,
		AppID: "chat", Operation: "ai", Description: "é", Metadata: &text, CreatedAt: epoch.AddDate(26, 10, 29)}
	const want = "62206a82e1fb3e8615681c3c07adb37d8668411d4c209206ce225d5a227e1835"
	if got := hex.EncodeToString(r.HashAfter(make([]byte, 32))); got != want {
		t.Errorf("%s", got)
	}
}
