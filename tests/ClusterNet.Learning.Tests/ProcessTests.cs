using System.Diagnostics;

namespace ClusterNet.Learning.Tests;

/// <summary>Two processes compute the same bits.</summary>
public sealed class ProcessTests
{
    [Theory]
    [InlineData("mlp")]
    [InlineData("cnn")]
    [InlineData("gru")]
    [InlineData("lstm")]
    public async Task A_gradient_has_the_same_bits_in_another_process(string kind) => Assert.Equal(Program.GradientHash(kind), await HashAsync(kind));

    /// <summary>In a process of its own, where no other test has made the heap hand out clean memory for good. oneDNN itself says what it computes.</summary>
    [Theory]
    [InlineData("mlp", false)]
    [InlineData("mlp-odd", true)]
    [InlineData("cnn", true)]
    [InlineData("gru", false)]
    [InlineData("lstm", true)]
    [InlineData("rnn-odd", false)]
    public async Task Memory_is_clean_where_oneDNN_computes_and_what_it_held_before_does_not_matter(string kind, bool isOneDnn)
    {
        var lines = await RunAsync(kind, Program.Dirty);
        Assert.Equal(isOneDnn, lines.Any(line => line.StartsWith("onednn_verbose,", StringComparison.Ordinal) && line.Contains(",exec,", StringComparison.Ordinal)));
        Assert.Equal([Program.GradientHash(kind), isOneDnn ? "clean" : "as it is"], lines[^2..]);
    }

    private static async Task<string> HashAsync(string kind) => (await RunAsync(kind))[^2];

    private static async Task<string[]> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(Program).Assembly.Location, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (!Path.GetFileNameWithoutExtension(Environment.ProcessPath!).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
            start.FileName = "dotnet";
        start.Environment["ONEDNN_VERBOSE"] = "1";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
