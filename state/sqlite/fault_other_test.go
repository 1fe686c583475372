//go:build !linux

package sqlite

import "os/exec"

// unprivileged leaves the command alone: tests don't run as root here.
func unprivileged(*exec.Cmd) {}
