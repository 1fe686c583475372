// Package record translates between what the store holds and what routing reads:
// resources and their records, rows of copies and the copies of a snapshot. It is pure.
//
// Only package control and the packages below it use this one.
package record
