// Package rules holds tests of the repository itself: that the linter's rules about
// who may know whom bite, and leave no room out. It has no code of its own.
package rules
