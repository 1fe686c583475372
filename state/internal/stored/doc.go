// Package stored is what the engines of [state.Store] have in common about their rows: the
// stored form of times, references and flags, the collecting of changes, and which
// pending rows a deleted copy takes along; and about a store: its watchers, its migrations with
// the conversion of what former versions kept, streams page by page. Of SQL it knows only the
// conversion's, which reads the same in both.
//
// Only the engines call it.
package stored
