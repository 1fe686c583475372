// Package schema makes JSON schemas (2020-12) of Go types, as encoding/json writes them: of what
// the API reads and answers, for its OpenAPI document.
//
// Invariants: a struct is one component, named after its type without "View"; every property is one
// that is written; what may be left out is not required; what is read takes no unknown property. A
// type that has no schema is a mistake of this program, and panics. It knows none of the API's
// types: package admin tells what their kinds don't say.
package schema
