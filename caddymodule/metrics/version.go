package metrics

import "runtime/debug"

// Version is this module's version in the build, empty where unknown.
func Version() string {
	const path = "mana.how/edge"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	if info.Main.Path == path {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return ""
}
