// Package caddymodule is the fado app: the part of FaDO that Caddy loads.
//
// It holds the app's configuration ([App]) and its Caddyfile form, and ties what
// FaDO is made of (state, control, replication, health) to the life of Caddy
// configurations. It promises:
//
//   - Provisioning and validating a configuration opens nothing, writes nothing and
//     connects to nothing: caddy validate is free of side effects.
//   - A reload costs no request and loses no state: everything that runs lives in a
//     runtime that configurations share (see runtime.go); a configuration only
//     attaches itself to it. A reload that fails leaves what ran before in force.
//   - Counters live as long as the process, whatever is reloaded.
//
// Everything that decides or moves anything lives in the rooms below, which know
// nothing of Caddy.
package caddymodule
