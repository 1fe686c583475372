// Package asks says what a bucket and its copies ask for as they are: the job of each copy, those of the
// bucket as a whole, and what jobs found out that is over, since nothing asks for them any more.
//
// Its functions are pure and know only the catalogue, the snapshot and the sources of issues. The planner
// and forecasts call it.
package asks
