namespace ClusterNet.Benchmarks.Soak;

/// <summary>What became of requests.</summary>
internal sealed class SoakCounts
{
    private long _answered;
    private long _wrong;
    private long _late;
    private long _shed;
    private long _failed;
    private long _unanswered;

    public long Answered => Volatile.Read(ref _answered);

    /// <summary>Answered with other bits than the version has.</summary>
    public long Wrong => Volatile.Read(ref _wrong);

    /// <summary>Told that their time was over, or that it would be.</summary>
    public long Late => Volatile.Read(ref _late);

    public long Shed => Volatile.Read(ref _shed);

    /// <summary>Told anything else.</summary>
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Neither answered nor told anything within their time and five seconds.</summary>
    public long Unanswered => Volatile.Read(ref _unanswered);

    /// <summary>What the first that was told anything else was told.</summary>
    public string? FirstFailure { get; private set; }

    public void Count(Outcome outcome, string? message = null)
    {
        ref var count = ref _answered;
        switch (outcome)
        {
            case Outcome.Answered:
                break;
            case Outcome.Wrong:
                count = ref _wrong;
                break;
            case Outcome.Late:
                count = ref _late;
                break;
            case Outcome.Shed:
                count = ref _shed;
                break;
            case Outcome.Unanswered:
                count = ref _unanswered;
                break;
            default:
                FirstFailure ??= message;
                count = ref _failed;
                break;
        }
        Interlocked.Increment(ref count);
    }

    internal enum Outcome
    {
        Answered,
        Wrong,
        Late,
        Shed,
        Failed,
        Unanswered,
    }
}
