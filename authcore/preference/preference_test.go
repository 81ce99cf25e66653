package preference_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mana.how/edge/authcore/preference"
)

func TestParse(t *testing.T) {
	t.Parallel()
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	if _, err := preference.Parse([]byte(nested(16))); err != nil {
		t.Errorf("depth 16: %v", err)
	}
	for name, text := range map[string]string{"objects": nested(17), "arrays": `{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + "}"} {
		if _, err := preference.Parse([]byte(text)); !errors.Is(err, preference.ErrTooDeep) {
			t.Errorf("%s too deep: %v", name, err)
		}
	}
	for _, text := range []string{"", "[]", "1", `{"a":`} {
		if _, err := preference.Parse([]byte(text)); err == nil {
			t.Errorf("%q is taken for an object", text)
		}
	}
}

// Objects are merged one level deep: what stands deeper is replaced whole.
func TestMergeIsOneLevelDeep(t *testing.T) {
	t.Parallel()
	s := preference.Default()
	for _, change := range []string{
		`{"nav":{"hidden":{"a":[1]}},"list":[1,2]}`, `{"nav":{"hidden":{"b":[2]}},"list":[3],"theme":"none","locale":{"x":1}}`,
	} {
		o, err := preference.Parse([]byte(change))
		if err != nil {
			t.Fatal(err)
		}
		s.MergeGlobal(o)
	}
	global, _, _, err := s.Encode()
	if want := `{"list":[3],"locale":{"x":1},"nav":{"desktopPosition":"top","hidden":{"b":[2]},"sidebarCollapsed":false},"theme":"none"}`; err != nil || string(global) != want {
		t.Errorf("%s, %v", global, err)
	}
	if global, _, _, _ := preference.Default().Encode(); strings.Contains(string(global), "hidden") {
		t.Error("a change reached the defaults")
	}
}

func TestStoredSettingsComeBack(t *testing.T) {
	t.Parallel()
	s := preference.Default()
	at := time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	s.MergeApp("chat", preference.Object{"theme": preference.Object{"mode": "dark"}})
	s.MergeDevice("one", "chat", "Laptop", "desktop", preference.Object{"a": "1"}, at)
	s.MergeDevice("two", "chat", "", "", preference.Object{}, at.Add(time.Hour))
	global, apps, devices, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := preference.Decode(global, apps, devices)
	if err != nil {
		t.Fatal(err)
	}
	if ids := again.DeviceIDs(); len(ids) != 2 || ids[0] != "two" || again.Devices["one"].Name != "Laptop" || again.Devices["one"].Apps["chat"]["a"] != "1" {
		t.Errorf("%+v", again)
	}
	again.DropDevice("one", "chat")
	if len(again.Devices["one"].Apps) != 0 || again.Devices["one"].Name != "Laptop" {
		t.Errorf("after an app was dropped: %+v", again.Devices)
	}
	again.DropDevice("three", "")
	again.MergeApp("large", preference.Object{"a": strings.Repeat("x", preference.MaxSize)})
	if _, _, _, err := again.Encode(); !errors.Is(err, preference.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
