package preference_test

import (
	"encoding/json"
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
	s := preference.New()
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
	if want := `{"list":[3],"locale":{"x":1},"nav":{"hidden":{"b":[2]}},"theme":"none"}`; err != nil || string(global) != want {
		t.Errorf("%s, %v", global, err)
	}
	shown, err := json.Marshal(s.Shown())
	if want := `{"list":[3],"locale":{"x":1},"nav":{"desktopPosition":"top","hidden":{"b":[2]},"sidebarCollapsed":false},"theme":"none"}`; err != nil || string(shown) != want {
		t.Errorf("%s, %v", shown, err)
	}
	if s.Locale() != "" {
		t.Errorf("the language is %q", s.Locale())
	}
}

// Nobody has chosen what they were only shown: a set that is stored and read again
// says so still.
func TestWhatWasNotChosenIsNotStored(t *testing.T) {
	t.Parallel()
	s := preference.New()
	if !s.TellsNewDevice() || s.Locale() != "" || s.Shown()["locale"] != "de" {
		t.Errorf("%+v", s)
	}
	s.TellNewDevice(false)
	s.MergeGlobal(preference.Object{"theme": preference.Object{"mode": "dark"}})
	global, apps, devices, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := preference.Decode(global, apps, devices)
	if err != nil || again.Locale() != "" || again.TellsNewDevice() {
		t.Errorf("%+v, %v", again, err)
	}
	again.TellNewDevice(true)
	again.MergeGlobal(preference.Object{"locale": "en"})
	if again.Locale() != "en" || !again.TellsNewDevice() {
		t.Errorf("%+v", again)
	}
}

func TestStoredSettingsComeBack(t *testing.T) {
	t.Parallel()
	s := preference.New()
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
