// Package preference keeps what a user has set for the looks of the apps: for
// all of them, for one, and for one on one device. It merges and bounds what
// apps send, and knows nothing of what it means.
package preference

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	// MaxSize bounds all that one user has set, in bytes of JSON.
	MaxSize = 64 << 10
	// maxDepth bounds how deep objects and arrays may stand in one another.
	maxDepth = 16
)

var (
	// ErrTooLarge means that a user would have set more than [MaxSize].
	ErrTooLarge = errors.New("the settings are too large")
	// ErrTooDeep means that objects stand too deep in one another.
	ErrTooDeep = errors.New("is nested too deeply")
)

// Object is a JSON object. Numbers are [json.Number].
type Object = map[string]any

// Parse reads an object that an app sent. It fails with [ErrTooDeep] or an
// error of JSON.
func Parse(raw []byte) (Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var o Object
	if err := decoder.Decode(&o); err != nil {
		return nil, err
	}
	return o, check(o, 1)
}

func check(value any, depth int) error {
	switch v := value.(type) {
	case []any:
		if depth > maxDepth {
			return ErrTooDeep
		}
		for _, item := range v {
			if err := check(item, depth+1); err != nil {
				return err
			}
		}
	case map[string]any:
		if depth > maxDepth {
			return ErrTooDeep
		}
		for _, item := range v {
			if err := check(item, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// merge writes change over o: objects one level deep, everything else whole.
func merge(o, change Object) Object {
	if o == nil {
		o = make(Object)
	}
	for key, value := range change {
		inner, isObject := value.(map[string]any)
		old, wasObject := o[key].(map[string]any)
		if !isObject || !wasObject {
			o[key] = value
			continue
		}
		merged := maps.Clone(old)
		maps.Copy(merged, inner)
		o[key] = merged
	}
	return o
}

// Set is everything that a user has set; what they have not is missing of Global.
type Set struct {
	Global  Object            `json:"globalSettings"`
	Apps    map[string]Object `json:"appOverrides"`
	Devices map[string]Device `json:"deviceSettings"`
}

// Device is what is set on one device, by app.
type Device struct {
	Name     string            `json:"deviceName,omitempty"`
	Type     string            `json:"deviceType,omitempty"`
	LastSeen time.Time         `json:"lastSeen"`
	Apps     map[string]Object `json:"apps"`
}

// New is the set of a user who has set nothing.
func New() Set {
	return Set{Global: Object{}, Apps: map[string]Object{}, Devices: map[string]Device{}}
}

// Shown are the global settings, with the defaults of what the user has not set.
func (s Set) Shown() Object {
	return merge(Object{
		"nav":    Object{"desktopPosition": "top", "sidebarCollapsed": false},
		"theme":  Object{"mode": "system", "colorScheme": "ocean", "pinnedThemes": []any{}},
		"locale": "de",
	}, s.Global)
}

// Locale is the language that the user has chosen (RFC 5646), empty where that is
// none.
func (s Set) Locale() string {
	locale, _ := s.Global[localeKey].(string)
	return locale
}

// SetLocale chooses a language; an empty one forgets what was chosen.
func (s *Set) SetLocale(tag string) {
	if tag == "" {
		delete(s.Global, localeKey)
		return
	}
	s.MergeGlobal(Object{localeKey: tag})
}

const localeKey = "locale"

// noticesKey and newDeviceKey name, in the global settings, the mails that a user
// can do without.
const (
	noticesKey   = "notices"
	newDeviceKey = "newDevice"
	creditsKey   = "credits"
)

// TellsNewDevice reports whether the user is to be told by mail of sign-ins from
// new devices. Who has not said so is.
func (s Set) TellsNewDevice() bool { return s.tells(newDeviceKey) }

// TellsCredits reports whether the user is to be told by mail that credits run low
// or end, that a budget is spent and that credits were bought. Who has not said so
// is.
func (s Set) TellsCredits() bool { return s.tells(creditsKey) }

func (s Set) tells(what string) bool {
	notices, _ := s.Global[noticesKey].(Object)
	wanted, said := notices[what].(bool)
	return wanted || !said
}

// TellNewDevice says so.
func (s *Set) TellNewDevice(wanted bool) {
	s.MergeGlobal(Object{noticesKey: Object{newDeviceKey: wanted}})
}

// TellCredits says so.
func (s *Set) TellCredits(wanted bool) {
	s.MergeGlobal(Object{noticesKey: Object{creditsKey: wanted}})
}

// Decode reads a set as it is stored.
func Decode(global, apps, devices []byte) (Set, error) {
	s := New()
	stored, err := Parse(global)
	if err != nil {
		return Set{}, fmt.Errorf("read global settings: %w", err)
	}
	if stored != nil {
		s.Global = stored
	}
	for _, part := range []struct {
		raw  []byte
		into any
	}{{apps, &s.Apps}, {devices, &s.Devices}} {
		decoder := json.NewDecoder(bytes.NewReader(part.raw))
		decoder.UseNumber()
		if err := decoder.Decode(part.into); err != nil {
			return Set{}, fmt.Errorf("read settings: %w", err)
		}
	}
	return s, nil
}

// Encode is the set as it is stored. It fails with [ErrTooLarge].
func (s Set) Encode() (global, apps, devices []byte, err error) {
	parts := make([][]byte, 3)
	size := 0
	for i, part := range []any{s.Global, s.Apps, s.Devices} {
		if parts[i], err = json.Marshal(part); err != nil {
			return nil, nil, nil, err
		}
		size += len(parts[i])
	}
	if size > MaxSize {
		return nil, nil, nil, ErrTooLarge
	}
	return parts[0], parts[1], parts[2], nil
}

// MergeGlobal changes what is set for all apps.
func (s *Set) MergeGlobal(change Object) { s.Global = merge(s.Global, change) }

// MergeApp changes what is set for one app.
func (s *Set) MergeApp(app string, change Object) { s.Apps[app] = merge(s.Apps[app], change) }

// DropApp forgets what is set for one app.
func (s *Set) DropApp(app string) { delete(s.Apps, app) }

// MergeDevice changes what is set for one app on one device, and notes that the
// device was seen. Empty name and kind leave them as they are.
func (s *Set) MergeDevice(device, app, name, kind string, change Object, now time.Time) {
	d := s.Devices[device]
	if name != "" {
		d.Name = name
	}
	if kind != "" {
		d.Type = kind
	}
	if d.Apps == nil {
		d.Apps = make(map[string]Object)
	}
	d.Apps[app] = merge(d.Apps[app], change)
	d.LastSeen = now.UTC()
	s.Devices[device] = d
}

// DropDevice forgets what is set on a device: for one app, or for all where app
// is empty.
func (s *Set) DropDevice(device, app string) {
	if d, ok := s.Devices[device]; ok && app != "" {
		delete(d.Apps, app)
		return
	}
	delete(s.Devices, device)
}

// DeviceIDs are the devices on which something is set, the last seen first.
func (s Set) DeviceIDs() []string {
	return slices.SortedFunc(maps.Keys(s.Devices), func(a, b string) int {
		if c := s.Devices[b].LastSeen.Compare(s.Devices[a].LastSeen); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
}
