// Package checks holds tests that look at FaDO from outside, and need no package's
// inside: that the linter's rules about who may know whom bite and leave no room out,
// that packages keep a shape that can be read (their size, the order of their files, the
// methods of their types, their tests), that versions and links agree, that the API's
// document is valid OpenAPI.
//
// It is a module of its own, so that what only these tests import is no requirement of
// FaDO's: who plugs FaDO into a Caddy does not get it.
package checks
