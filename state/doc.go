// Package state keeps what must survive a restart: the resources users made, the
// copies of every bucket with their cursors, the pending objects, and what operators
// asked for. [Store] is the contract, one interface per role; state/sqlite and
// state/postgres implement it, and statetest holds every implementation to it.
//
// Two kinds of durability are promised. A catalogue change ([Catalogue.Update]) and what
// people asked for (purges, resolutions, allowances, verifications, the pause) are on disk
// when the call returns, through a power cut. Progress (copies, pending objects, how far a
// verification has come) survives a killed process when it returns; a power cut may take
// the last moments of it, which costs work done again and never an object, because cursors
// and the removal of pending rows only ever follow the verified write they speak of.
//
// Only control and replication write; what routes, checks or answers reads through them.
// Who needs one role takes that role's interface and not Store.
package state
