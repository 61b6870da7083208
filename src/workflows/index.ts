// The one file that Temporal bundles: whatever function it exports can be started.
export {};
