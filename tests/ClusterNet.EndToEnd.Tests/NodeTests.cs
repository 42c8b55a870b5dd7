namespace ClusterNet.EndToEnd.Tests;

/// <summary>A node as a process: it says when it is ready, carries only what its roles need, and leaves in order when it is told to.</summary>
public sealed class NodeTests
{
    private static readonly Dictionary<string, string> None = [];

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_node_is_ready_and_leaves_at_a_signal(string signal)
    {
        using var directory = new DataDirectory();
        using var node = new NodeProcess(directory.Path, None, "--port", "0", "--name", "n1");
        var ready = await node.ReadyAsync();
        Assert.Equal("n1", ready["node"]!.GetValue<string>());
        Assert.Contains("SQLite", ready["store"]!.GetValue<string>(), StringComparison.Ordinal);
        await node.SignalAsync(signal);
        Assert.True(await node.EndAsync() == 0, node.ToString());
    }

    [SkippableFact]
    public async Task A_node_that_holds_parameters_alone_does_not_load_libtorch()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "looks into /proc");
        using var directory = new DataDirectory();
        using var all = new NodeProcess(directory.File("all"), None, "--port", "0", "--roles", "coordinator,worker");
        await all.ReadyAsync();
        using var parameters = new NodeProcess(directory.File("parameters"), None, "--port", "0", "--roles", "parameters");
        await parameters.ReadyAsync();
        Assert.DoesNotContain("libtorch", await File.ReadAllTextAsync($"/proc/{parameters.Id}/maps"), StringComparison.OrdinalIgnoreCase);
    }
}
