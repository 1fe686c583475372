// Package statetest holds every implementation of [state.Store] to its contract: one
// suite, which knows nothing of how a store is made or where it keeps its rows.
//
// Only tests of the engines call it.
package statetest
