// Package events streams what happens to clients that watch, as server-sent events.
//
// Invariants: at most so many streams at a time, and each event is encoded once, however many watch;
// a client that reads too slowly holds up nobody, and is told how many events it missed; an event is
// either delivered or missed. A stream can't be resumed: who reconnects is told that there may be
// a gap. Package admin's table of operations leads here.
package events
