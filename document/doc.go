// Package document is the language of declarative documents: a catalogue of zones, clusters,
// policies and buckets in one JSON or YAML text, what it would change, what that would move,
// and the text of what there is.
//
// [Parse] reads a document strictly and names everything that is wrong with it by its path
// in the document. [Compare] holds it against the catalogue: the changes it asks for, and
// what contradicts them. [Forecast] works out what would move and what would be routed
// otherwise. [Writer] writes a catalogue as a document, canonically: what it wrote changes
// nothing when it is read.
//
// Everything here is a pure function of its input: no I/O, no clock, no goroutine. The
// package knows the catalogue and the snapshot of routing; admin fetches what it works on
// and has control carry changes out.
package document
