package caddymodule

import (
	"runtime/debug"
	"sync"
)

const modulePath = "github.com/fado-project/fado"

// version, when set by the linker, is what Version returns:
//
//	-ldflags "-X github.com/fado-project/fado/caddymodule.version=v1.2.3"
var version string

// Version returns the version of FaDO in this binary: what the linker stamped, else
// the version of its Go module, else the commit it was built from.
var Version = sync.OnceValue(func() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return versionIn(info)
})

func versionIn(info *debug.BuildInfo) string {
	module := &info.Main
	for _, dep := range info.Deps {
		if dep.Path == modulePath {
			module = dep
		}
	}
	if module.Replace != nil && module.Replace.Version != "" {
		module = module.Replace
	}
	if module.Path == modulePath && module.Version != "" && module.Version != "(devel)" {
		return module.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Path == modulePath {
			return "devel-" + s.Value[:min(len(s.Value), 12)]
		}
	}
	return "devel"
}
