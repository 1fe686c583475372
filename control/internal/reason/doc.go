// Package reason says what keeps buckets from being ok, to people and to programs, and finds what of it lies in
// the sums of a copy's pending objects. It goes by what kind of error objects failed with, never by its text.
package reason
