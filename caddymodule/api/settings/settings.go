// Package settings has the routes of what users set for the looks of the apps.
package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"mana.how/edge/authcore/preference"
	"mana.how/edge/caddymodule/api/endpoint"
)

var errTooLarge = &endpoint.Error{Status: http.StatusRequestEntityTooLarge, Code: "SETTINGS_TOO_LARGE",
	Message: fmt.Sprintf("Settings are larger than %d kB in all", preference.MaxSize>>10)}

// Routes are those of settings.
func Routes() []endpoint.Route {
	const at = "/api/v1/settings"
	rule := func(summary string) endpoint.Rule {
		return endpoint.Rule{Summary: summary, Access: endpoint.User, Limit: endpoint.UserLimit, Errors: []*endpoint.Error{errTooLarge},
			Mappings: []endpoint.Mapping{{Err: preference.ErrTooLarge, Answer: errTooLarge}}}
	}
	return []endpoint.Route{
		endpoint.Get(at, endpoint.Handle(all), rule("What the caller has set")),
		endpoint.Patch(at+"/global", endpoint.Handle(changeGlobal), rule("Change what is set for all apps")),
		endpoint.Patch(at+"/app/{appId}", endpoint.Handle(changeApp), rule("Change what is set for one app")),
		endpoint.Delete(at+"/app/{appId}", endpoint.Handle(dropApp), rule("Forget what is set for one app")),
		endpoint.Get(at+"/devices", endpoint.Handle(devices), rule("Devices on which something is set")),
		endpoint.Get(at+"/device/{deviceId}/{appId}", endpoint.Handle(deviceSettings), rule("What is set for one app on one device")),
		endpoint.Patch(at+"/device/{deviceId}/{appId}", endpoint.Handle(changeDevice), rule("Change what is set for one app on one device")),
		endpoint.Delete(at+"/device/{deviceId}/{appId}", endpoint.Handle(dropDeviceApp), rule("Forget what is set for one app on one device")),
		endpoint.Delete(at+"/device/{deviceId}", endpoint.Handle(dropDevice), rule("Forget what is set on one device")),
	}
}

type settingsResponse struct {
	Success bool              `json:"success"`
	Global  preference.Object `json:"globalSettings"`
	Apps    json.RawMessage   `json:"appOverrides"`
	Devices json.RawMessage   `json:"deviceSettings"`
}

func answerOf(s preference.Set, err error) (settingsResponse, error) {
	if err != nil {
		return settingsResponse{}, err
	}
	apps, appsErr := json.Marshal(s.Apps)
	devices, devicesErr := json.Marshal(s.Devices)
	return settingsResponse{true, s.Shown(), apps, devices}, errors.Join(appsErr, devicesErr)
}

func all(ctx context.Context, c *endpoint.Call, _ endpoint.None) (settingsResponse, error) {
	return answerOf(c.Auth.Settings(ctx, c.Caller))
}

type globalRequest struct {
	Nav                 nav      `json:"nav" rule:"optional,object"`
	Theme               theme    `json:"theme" rule:"optional,object"`
	Locale              string   `json:"locale" rule:"optional,max=35,string"`
	RecentEmojis        []string `json:"recentEmojis" rule:"optional"`
	DisplayName         string   `json:"displayName" rule:"optional,line,max=255,string"`
	Interests           []string `json:"interests" rule:"optional"`
	OnboardingCompleted *bool    `json:"onboardingCompleted" rule:"optional"`
}

func changeGlobal(ctx context.Context, c *endpoint.Call, req globalRequest) (settingsResponse, error) {
	change := make(preference.Object)
	var p problems
	p.looks(change, req.Nav, req.Theme)
	if req.RecentEmojis != nil {
		change["recentEmojis"] = req.RecentEmojis
	}
	if req.Interests != nil {
		change["interests"] = req.Interests
	}
	if req.Locale != "" {
		change["locale"] = req.Locale
	}
	if req.DisplayName != "" {
		change["displayName"] = req.DisplayName
	}
	if req.OnboardingCompleted != nil {
		change["onboardingCompleted"] = *req.OnboardingCompleted
	}
	if len(p) > 0 {
		return settingsResponse{}, endpoint.Invalid(p...)
	}
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) { s.MergeGlobal(change) }))
}

type appRequest struct {
	AppID string `path:"appId" rule:"max=128,min=1,string"`
	Nav   nav    `json:"nav" rule:"optional,object"`
	Theme theme  `json:"theme" rule:"optional,object"`
}

func changeApp(ctx context.Context, c *endpoint.Call, req appRequest) (settingsResponse, error) {
	change := make(preference.Object)
	var p problems
	if p.looks(change, req.Nav, req.Theme); len(p) > 0 {
		return settingsResponse{}, endpoint.Invalid(p...)
	}
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) { s.MergeApp(req.AppID, change) }))
}

type appPath struct {
	AppID string `path:"appId" rule:"max=128,min=1,string"`
}

func dropApp(ctx context.Context, c *endpoint.Call, req appPath) (settingsResponse, error) {
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) { s.DropApp(req.AppID) }))
}

type settingsDevice struct {
	DeviceID   string        `json:"deviceId"`
	DeviceName string        `json:"deviceName"`
	DeviceType string        `json:"deviceType"`
	LastSeen   endpoint.Time `json:"lastSeen"`
	AppCount   int           `json:"appCount"`
}

type settingsDevicesResponse struct {
	Success bool             `json:"success"`
	Devices []settingsDevice `json:"devices"`
}

func devices(ctx context.Context, c *endpoint.Call, _ endpoint.None) (settingsDevicesResponse, error) {
	s, err := c.Auth.Settings(ctx, c.Caller)
	if err != nil {
		return settingsDevicesResponse{}, err
	}
	out := settingsDevicesResponse{Success: true, Devices: []settingsDevice{}}
	for _, id := range s.DeviceIDs() {
		d := s.Devices[id]
		out.Devices = append(out.Devices, settingsDevice{id, d.Name, d.Type, endpoint.Time(d.LastSeen), len(d.Apps)})
	}
	return out, nil
}

type devicePath struct {
	DeviceID string `path:"deviceId" rule:"max=128,min=1,string"`
	AppID    string `path:"appId" rule:"max=128,min=1,string"`
}

type deviceSettingsResponse struct {
	Success  bool              `json:"success"`
	Settings preference.Object `json:"settings"`
}

func deviceSettings(ctx context.Context, c *endpoint.Call, req devicePath) (deviceSettingsResponse, error) {
	s, err := c.Auth.Settings(ctx, c.Caller)
	if err != nil {
		return deviceSettingsResponse{}, err
	}
	set := s.Devices[req.DeviceID].Apps[req.AppID]
	if set == nil {
		set = preference.Object{}
	}
	return deviceSettingsResponse{true, set}, nil
}

type deviceRequest struct {
	DeviceID   string          `path:"deviceId" rule:"max=128,min=1,string"`
	AppID      string          `path:"appId" rule:"max=128,min=1,string"`
	DeviceName string          `json:"deviceName" rule:"optional,line,max=255,string"`
	DeviceType string          `json:"deviceType" rule:"optional,oneof=desktop|mobile|tablet"`
	Settings   json.RawMessage `json:"settings" rule:"object"`
}

func changeDevice(ctx context.Context, c *endpoint.Call, req deviceRequest) (settingsResponse, error) {
	var p problems
	change := p.object("settings", req.Settings)
	if len(p) > 0 {
		return settingsResponse{}, endpoint.Invalid(p...)
	}
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) {
		s.MergeDevice(req.DeviceID, req.AppID, req.DeviceName, req.DeviceType, change, time.Now())
	}))
}

func dropDeviceApp(ctx context.Context, c *endpoint.Call, req devicePath) (settingsResponse, error) {
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) { s.DropDevice(req.DeviceID, req.AppID) }))
}

type wholeDevicePath struct {
	DeviceID string `path:"deviceId" rule:"max=128,min=1,string"`
}

func dropDevice(ctx context.Context, c *endpoint.Call, req wholeDevicePath) (settingsResponse, error) {
	return answerOf(c.Auth.ChangeSettings(ctx, c.Caller, func(s *preference.Set) { s.DropDevice(req.DeviceID, "") }))
}

// nav and theme are what every app knows of its looks. What else stands in them is
// kept as it is.
type nav json.RawMessage

// Schema says what is known of it.
func (nav) Schema() map[string]any {
	return map[string]any{"properties": map[string]any{
		"desktopPosition":  map[string]any{"enum": []any{"top", "bottom"}},
		"sidebarCollapsed": map[string]any{"type": "boolean"},
		"hiddenNavItems":   map[string]any{"type": "object", "additionalProperties": textsSchema},
	}}
}

type theme json.RawMessage

// Schema says what is known of it.
func (theme) Schema() map[string]any {
	return map[string]any{"properties": map[string]any{
		"mode":         map[string]any{"enum": []any{"light", "dark", "system"}},
		"colorScheme":  map[string]any{"type": "string"},
		"pinnedThemes": textsSchema,
	}}
}

var textsSchema = map[string]any{"type": "array", "items": map[string]any{"type": "string"}}

// problems are what is wrong with a body, in the words of its other fields.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// object reads an object; nil where none was sent.
func (p *problems) object(field string, raw []byte) preference.Object {
	if len(raw) == 0 {
		return nil
	}
	o, err := preference.Parse(raw)
	switch {
	case errors.Is(err, preference.ErrTooDeep):
		p.add("%s %v", field, err)
	case err != nil:
		p.add("%s must be an object", field)
	}
	return o
}

// looks reads nav and theme.
func (p *problems) looks(change preference.Object, n nav, t theme) {
	if o := p.object("nav", n); o != nil {
		p.oneOf(o, "nav.desktopPosition", "top", "bottom")
		if v, ok := o["sidebarCollapsed"]; ok {
			if _, isBool := v.(bool); !isBool {
				p.add("nav.sidebarCollapsed must be a boolean value")
			}
		}
		if v, ok := o["hiddenNavItems"]; ok {
			lists, isObject := v.(map[string]any)
			if !isObject {
				p.add("nav.hiddenNavItems must be an object")
			}
			for _, name := range slices.Sorted(maps.Keys(lists)) {
				p.texts("nav.hiddenNavItems."+name, lists[name])
			}
		}
		change["nav"] = o
	}
	if o := p.object("theme", t); o != nil {
		p.oneOf(o, "theme.mode", "light", "dark", "system")
		if v, ok := o["colorScheme"]; ok {
			if _, isText := v.(string); !isText {
				p.add("theme.colorScheme must be a string")
			}
		}
		if v, ok := o["pinnedThemes"]; ok {
			p.texts("theme.pinnedThemes", v)
		}
		change["theme"] = o
	}
}

func (p *problems) oneOf(o preference.Object, field string, values ...string) {
	_, key, _ := strings.Cut(field, ".")
	v, ok := o[key]
	if !ok {
		return
	}
	if text, isText := v.(string); !isText || !slices.Contains(values, text) {
		p.add("%s must be one of the following values: %s", field, strings.Join(values, ", "))
	}
}

func (p *problems) texts(field string, v any) {
	list, ok := v.([]any)
	switch {
	case !ok:
		p.add("%s must be an array", field)
	case slices.ContainsFunc(list, func(item any) bool { _, ok := item.(string); return !ok }):
		p.add("each value in %s must be a string", field)
	}
}
