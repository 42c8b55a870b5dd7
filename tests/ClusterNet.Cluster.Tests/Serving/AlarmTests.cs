using Akka.TestKit.Xunit2;
using ClusterNet.Cluster.Serving;

namespace ClusterNet.Cluster.Tests.Serving;

/// <summary>An alarm rings once, at the earliest time that it was set to.</summary>
public class AlarmTests : TestKit
{
    private static readonly TimeSpan Five = TimeSpan.FromHours(5);

    [Fact]
    public async Task It_rings_at_the_earliest_time_and_does_not_ring_again()
    {
        using var alarm = new Alarm(TestActor, "due");
        alarm.Set(Five + TimeSpan.FromHours(1), Five);
        alarm.Set(Five + TimeSpan.FromMilliseconds(20), Five);
        alarm.Set(Five + TimeSpan.FromHours(2), Five);
        Assert.Equal(Five + TimeSpan.FromMilliseconds(20), alarm.Due);
        await ExpectMsgAsync("due");
        await ExpectNoMsgAsync(TimeSpan.FromMilliseconds(100));
    }

    [Fact]
    public async Task What_is_over_is_at_once()
    {
        using var alarm = new Alarm(TestActor, "due");
        alarm.Set(Five - TimeSpan.FromHours(1), Five);
        await ExpectMsgAsync("due");
    }

    [Fact]
    public async Task After_it_was_reset_it_can_be_set_to_a_later_time()
    {
        using var alarm = new Alarm(TestActor, "due");
        alarm.Set(Five + TimeSpan.FromHours(1), Five);
        alarm.Reset();
        Assert.Equal(TimeSpan.MaxValue, alarm.Due);
        alarm.Set(Five + TimeSpan.FromHours(2), Five);
        Assert.Equal(Five + TimeSpan.FromHours(2), alarm.Due);
        alarm.Set(Five + TimeSpan.FromMilliseconds(20), Five);
        await ExpectMsgAsync("due");
    }

    [Fact]
    public async Task Reset_it_does_not_ring()
    {
        using var alarm = new Alarm(TestActor, "due");
        alarm.Set(Five + TimeSpan.FromMilliseconds(50), Five);
        alarm.Reset();
        await ExpectNoMsgAsync(TimeSpan.FromMilliseconds(200));
    }

    [Fact]
    public void Times_that_no_timer_knows_are_far_away()
    {
        using var alarm = new Alarm(TestActor, "due");
        alarm.Set(TimeSpan.MaxValue - TimeSpan.FromTicks(1), TimeSpan.Zero);
        Assert.Equal(TimeSpan.MaxValue - TimeSpan.FromTicks(1), alarm.Due);
    }
}
