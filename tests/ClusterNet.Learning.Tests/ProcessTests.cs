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
    public async Task A_gradient_has_the_same_bits_in_another_process(string kind)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(Program).Assembly.Location, kind]) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (!Path.GetFileNameWithoutExtension(Environment.ProcessPath!).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
            start.FileName = "dotnet";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var hash = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        Assert.Equal(Program.GradientHash(kind), hash.Trim());
    }
}
