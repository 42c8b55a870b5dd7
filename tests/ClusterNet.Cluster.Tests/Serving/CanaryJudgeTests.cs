using ClusterNet.Cluster.Models;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>A canary is taken out for what it did within the window, and for nothing less than its bounds.</summary>
public sealed class CanaryJudgeTests
{
    private static readonly RollbackRule Rule = new("staging") { MaxErrorRate = 0.1, MaxLatency = TimeSpan.FromMilliseconds(50), Window = TimeSpan.FromSeconds(10), LeastRequests = 10 };

    private readonly CanaryJudge _judge = new();

    [Fact]
    public void Few_requests_say_nothing()
    {
        Add(9, isFailure: true);
        Assert.Null(_judge.Fault(Rule, At(0)));
        Add(1, isFailure: true);
        Assert.Contains("10 of 10 requests to 'staging' failed", _judge.Fault(Rule, At(0)), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_at_its_bound_stays()
    {
        Add(9);
        Add(1, isFailure: true);
        Assert.Null(_judge.Fault(Rule, At(0)));
        Add(1, isFailure: true);
        Assert.NotNull(_judge.Fault(Rule, At(0)));
    }

    [Fact]
    public void What_was_before_the_window_is_forgotten()
    {
        Add(20, isFailure: true);
        Assert.Null(_judge.Fault(Rule, At(11)));
    }

    [Fact]
    public void One_slow_request_of_twenty_is_not_the_95th_percentile_but_two_are()
    {
        Add(19);
        Add(1, milliseconds: 51);
        Assert.Null(_judge.Fault(Rule, At(0)));
        Add(1, milliseconds: 51);
        Assert.Contains("more than 50 ms", _judge.Fault(Rule, At(0)), StringComparison.Ordinal);
    }

    private static TimeSpan At(int seconds) => TimeSpan.FromSeconds(1000 + seconds);

    private void Add(int count, bool isFailure = false, int milliseconds = 50)
    {
        for (var i = 0; i < count; i++)
            _judge.Ended(At(0), isFailure, TimeSpan.FromMilliseconds(milliseconds));
    }
}
