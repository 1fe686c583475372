// Package stage is what the examples are made of: places with a storage and a function
// server each, programs that are started and killed, a client that talks to FaDO as its
// users do, load, and the display of a walk-through.
package stage
