package statetest

import "testing"

// Run exercises every sentence of the contract. open is called for each test, and
// registers with t.Cleanup what the suite can't know of.
func Run(t *testing.T, open func(t *testing.T) Fixture) {
	for name, test := range map[string]func(*testing.T, Fixture){
		"Update":             testUpdate,
		"UpdateRollsBack":    testUpdateRollsBack,
		"UpdateSerialises":   testUpdateSerialises,
		"UpdateContext":      testUpdateContext,
		"Resources":          testResources,
		"TxSeesItsWrites":    testTxSeesItsWrites,
		"Referrers":          testReferrers,
		"ListAndEach":        testListAndEach,
		"EachMayUseTheStore": testEachMayUseTheStore,
		"Secrets":            testSecrets,
		"DeleteBucket":       testDeleteBucket,
		"Copies":             testCopies,
		"SaveCopies":         testSaveCopies,
		"EachCopy":           testEachCopy,
		"DeleteCopy":         testDeleteCopy,
		"DeleteCopyModel":    testDeleteCopyModel,
		"AddPending":         testAddPending,
		"AddPendingAgain":    testAddPendingAgain,
		"GensAreNeverReused": testGensAreNeverReused,
		"ClaimOrder":         testClaimOrder,
		"ClaimIn":            testClaimIn,
		"ClaimsRunOut":       testClaimsRunOut,
		"ClaimsDontOverlap":  testClaimsDontOverlap,
		"ExtendClaims":       testExtendClaims,
		"FinishPending":      testFinishPending,
		"FailPending":        testFailPending,
		"RetryAndUnhold":     testRetryAndUnhold,
		"ListPending":        testListPending,
		"Limits":             testLimits,
		"Backlogs":           testBacklogs,
		"Causes":             testCauses,
		"ErrorsOfAnyBytes":   testErrorsOfAnyBytes,
		"Keys":               testKeys,
		"PendingModel":       testPendingModel,
		"Pulled":             testPulled,
		"EachPulled":         testEachPulled,
		"PulledModel":        testPulledModel,
		"Uploads":            testUploads,
		"Purges":             testPurges,
		"PurgeReplaced":      testPurgeReplaced,
		"PurgesInterleaved":  testPurgesInterleaved,
		"Resolutions":        testResolutions,
		"Allowances":         testAllowances,
		"Verifications":      testVerifications,
		"Mismatches":         testMismatches,
		"Pauses":             testPauses,
		"Reports":            testReports,
		"Passes":             testPasses,
		"Audit":              testAudit,
		"Revision":           testRevision,
		"Forgotten":          testForgotten,
		"CopySumsModel":      testCopySumsModel,
		"NextDue":            testNextDue,
		"DamagedAndCounted":  testDamagedAndCounted,
		"Meta":               testMeta,
		"EachMeta":           testEachMeta,
		"Clear":              testClear,
		"RaiseSeq":           testRaiseSeq,
		"Changes":            testChanges,
		"ChangesTrimmed":     testChangesTrimmed,
		"Watch":              testWatch,
		"TryLock":            testTryLock,
		"Instances":          testInstances,
		"Reopen":             testReopen,
		"Closed":             testClosed,
	} {
		t.Run(name, func(t *testing.T) {
			fx := open(t)
			t.Cleanup(func() {
				if err := fx.Store.Close(); err != nil {
					t.Errorf("closing the store: %v", err)
				}
			})
			test(t, fx)
		})
	}
}
