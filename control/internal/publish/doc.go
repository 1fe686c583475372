// Package publish keeps the order in which what transactions committed becomes what
// routing reads, without a lock that is held while a store is waited for.
//
// A change of the catalogue takes a [Turn]. The stores run transactions one after the
// other, so a turn takes its place inside its transaction ([Turn.Enter]), once everything
// that this instance committed before is published: the order of places is the order of
// the store's sequence numbers, and what a transaction reads from memory is what the
// store holds. The turn ends when its outcome is known ([Turn.Commit], [Turn.Drop]).
//
// What was read outside of a transaction (another instance's changes, all there is, the
// resources under a configuration) is published by a [Reading]. Where a turn or another
// reading was about the same things while it was under way, it is not known which is
// newer: those things are left out, and are to be read again. So what is published of a
// thing never goes back.
//
// Only package control and the packages below it use this one.
package publish
