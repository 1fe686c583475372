// Package history keeps what an instance measured, so that people see what changed when
// without a monitoring system: one value of each series at every step, in rings of a fixed
// size ([Rings]). Instances that share a store tell each other their last values ([Sheet]), so that
// each knows of all, from when it started.
//
// Invariants:
//
//   - Memory is bounded. Those of single clusters and endpoints ([Rank]) that have no room for a value at
//     every step are kept with one a minute, for as long, and where there is no room for that either, not
//     at all. One of the whole instance takes the room of such a series, whichever came first, and keeps all
//     of its values unless those of the whole instance alone are too many.
//   - What is not known is a gap, never a value that was made up.
//   - Nothing is kept anywhere else: history ends with the process.
//
// It knows nothing of what it measures. The fado app puts values in, the admin API reads them.
package history
