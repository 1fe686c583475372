// Package guides runs what the pages for people tell readers to type: the tutorial's commands,
// with what they should print, and the functions of docs/functions.md, each behind a real FaDO
// with real storages. It has tests only.
package guides
