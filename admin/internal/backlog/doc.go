// Package backlog tells what waits: objects known to differ, deletes that are held, conflicts and
// failures, as clients see them, and page by page.
//
// Invariants: a page is one of an order that nothing which comes or goes changes, so that what is there
// all the while is told once; where a page ends is said by the last item on it, not by a number.
package backlog
