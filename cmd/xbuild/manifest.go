package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/caddyserver/xcaddy"
)

// developmentVersion stands for the version of a module that is built from a
// directory; xcaddy asks for one and the replacement makes it irrelevant.
const developmentVersion = "v0.0.0"

// Manifest is the content of xcaddy.toml.
type Manifest struct {
	// CaddyVersion is the Caddy release to build on, such as v2.11.9.
	CaddyVersion string `toml:"caddy_version"`
	// Output is the file to write, relative to the manifest.
	Output string `toml:"output"`
	// Tags are the build tags, each without a comma.
	Tags []string `toml:"tags"`
	// Plugins are the modules compiled in, in this order.
	Plugins []Plugin `toml:"plugin"`
}

// Plugin is one Go package compiled into the binary.
type Plugin struct {
	// Module is the import path of the package that registers the plugin.
	Module string `toml:"module"`
	// Version is the module version; empty with Path means the directory as it is.
	Version string `toml:"version"`
	// Path is a directory, relative to the manifest, that replaces the module.
	Path string `toml:"path"`
}

// ParseManifest reads a manifest and reports all its faults at once: unknown
// keys by name, and missing values.
func ParseManifest(text []byte) (Manifest, error) {
	var m Manifest
	meta, err := toml.Decode(string(text), &m)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	var faults []error
	for _, key := range meta.Undecoded() {
		faults = append(faults, fmt.Errorf("unknown key %q", key.String()))
	}
	if m.CaddyVersion == "" {
		faults = append(faults, errors.New("caddy_version is missing"))
	}
	if m.Output == "" {
		faults = append(faults, errors.New("output is missing"))
	}
	if len(m.Plugins) == 0 {
		faults = append(faults, errors.New("no [[plugin]] is listed"))
	}
	for i, p := range m.Plugins {
		if p.Module == "" {
			faults = append(faults, fmt.Errorf("plugin %d: module is missing", i+1))
		}
		if p.Version == "" && p.Path == "" {
			faults = append(faults, fmt.Errorf("plugin %d (%s): needs a version or a path", i+1, p.Module))
		}
	}
	return m, errors.Join(faults...)
}

// Builder returns the xcaddy build of the manifest. Relative plugin paths start at dir.
func (m Manifest) Builder(dir string) xcaddy.Builder {
	b := xcaddy.Builder{
		CaddyVersion: m.CaddyVersion,
		BuildFlags: fmt.Sprintf(`-trimpath -ldflags="-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=%s" -tags=%s`,
			m.version(dir), strings.Join(m.Tags, ",")),
	}
	for _, p := range m.Plugins {
		version := p.Version
		if p.Path != "" {
			path := p.Path
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			if version == "" {
				version = developmentVersion
			}
			b.Replacements = append(b.Replacements, xcaddy.NewReplace(p.Module, path))
		}
		b.Plugins = append(b.Plugins, xcaddy.Dependency{PackagePath: p.Module, Version: version})
	}
	return b
}

// edgeModule is the plugin whose version is the binary's.
const edgeModule = "mana.how/edge"

// version is what the binary calls itself: the edge's version, and what Git
// says of the directory that is built.
func (m Manifest) version(dir string) string {
	for _, p := range m.Plugins {
		switch {
		case p.Module != edgeModule:
		case p.Path == "":
			return p.Version
		default:
			path := p.Path
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			out, err := exec.Command("git", "-C", path, "describe", "--tags", "--always", "--dirty").Output()
			if text := strings.TrimSpace(string(out)); err == nil && text != "" {
				return text
			}
		}
	}
	return developmentVersion
}
