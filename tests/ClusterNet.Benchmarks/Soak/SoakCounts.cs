namespace ClusterNet.Benchmarks.Soak;

/// <summary>What became of requests.</summary>
internal sealed class SoakCounts
{
    private readonly long[] _counts = new long[Enum.GetValues<Outcome>().Length];

    public long Answered => Of(Outcome.Answered);

    public long Wrong => Of(Outcome.Wrong);

    public long Late => Of(Outcome.Late);

    public long Shed => Of(Outcome.Shed);

    public long Failed => Of(Outcome.Failed);

    public long Unanswered => Of(Outcome.Unanswered);

    /// <summary>What the first that failed was told.</summary>
    public string? FirstFailure { get; private set; }

    public void Count(Outcome outcome, string? message = null)
    {
        if (outcome == Outcome.Failed)
            FirstFailure ??= message;
        Interlocked.Increment(ref _counts[(int)outcome]);
    }

    private long Of(Outcome outcome) => Volatile.Read(ref _counts[(int)outcome]);

    internal enum Outcome
    {
        Answered,

        /// <summary>With other bits than the version has.</summary>
        Wrong,

        /// <summary>Told that its time was over.</summary>
        Late,

        /// <summary>Told that too much waits, or that its time would be over.</summary>
        Shed,

        /// <summary>Told anything else.</summary>
        Failed,

        /// <summary>Neither answered nor told anything within its time and five seconds.</summary>
        Unanswered,
    }
}
