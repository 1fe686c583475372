// Package guard is the one place where storages are written. Everything that writes or
// removes an object, or makes or removes a bucket, is an operation ([Op]) that runs inside
// [Guard.Do]; only there is a [storage.Writer] to be had, by [Pass.Writer].
//
// Invariants:
//
//   - An operation registers first and asks the current snapshot then, and a change of the
//     catalogue is in force before it looks for registered operations. So whichever comes
//     second knows of the other: no byte is on its way to a cluster once the change that
//     forbids it is answered.
//   - Bytes of an object pass through this instance only while its policy allows the cluster that
//     the instance is in, where that is said ([routing.BucketView.Passes]): of an operation that
//     copies, of a user's write, and of what [Guard.Carry] is asked for.
//   - A Pass is void once its operation has left: a Writer can't be kept.
//   - A Pass gives the Writer of the cluster it was asked for, and of no other.
//   - While an instance has no lease on a store it shares, nothing enters, and what is
//     about to send asks for the lease by itself ([storage.WithFence]).
//   - While a primary's role is handed over, users' writes that show wait, on every instance: on the
//     one that moves it by [Guard.Quietly], on others by the copies' marks. So what a user was told
//     is written is at the new primary when it becomes that.
//   - Operations on one key in one cluster are one at a time, by [Guard.Lock], which callers
//     take before Do: deciding needs the lock as much as writing.
//
// Who may call it: the rooms of replication that write. Who builds the engine makes it.
package guard
