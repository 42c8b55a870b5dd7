using System.Diagnostics;
using ClusterNet.Learning.Native;

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

    /// <summary>Libraries that choose other kernels, as on another processor: who would end with other weights has another trial gradient, and who would say other things of samples has other trial outputs.</summary>
    [Theory]
    [InlineData("MKL_CBWR", "COMPATIBLE")]
    [InlineData("MKL_CBWR", "AVX2")]
    [InlineData("ATEN_CPU_CAPABILITY", "default")]
    [InlineData("ATEN_CPU_CAPABILITY", "avx2")]
    [InlineData("ONEDNN_MAX_CPU_ISA", "AVX2")]
    [InlineData("ONEDNN_MAX_CPU_ISA", "SSE41")]
    [InlineData(TorchLoader.PortableVariable, "1")]
    public async Task A_trial_tells_who_would_end_with_other_weights_or_say_other_things(string variable, string value)
    {
        var there = (await RunAsync([(variable, value)], Program.Arithmetic)).Where(line => !line.StartsWith("onednn_verbose,", StringComparison.Ordinal)).Select(line => line.Split(' ')).ToArray();
        var here = Program.ArithmeticOfAll();
        Assert.Equal(here.Select(own => own.Kind), there.Select(other => other[0]));
        foreach (var (own, other) in here.Zip(there))
        {
            Assert.True(own.Trained == other[2] || own.Trial != other[1], $"{own.Kind}: other weights and the same trial gradient");
            Assert.True(own.Said == other[4] || own.Outputs != other[3], $"{own.Kind}: other predictions and the same trial outputs");
        }
        if (variable == TorchLoader.PortableVariable)
        {
            // the test itself would notice: where libraries compute they compute otherwise here
            Assert.All(here.Zip(there).Where(pair => pair.First.Kind != "mlp"), pair => Assert.NotEqual(pair.First.Trained, pair.Second[2]));
            Assert.Contains(here.Zip(there), pair => pair.First.Said != pair.Second[4]);
        }
    }

    /// <summary>
    /// Dense layers, convolutions and probabilities are computed by kernels of our own: neither another processor's functions of MKL, oneDNN or ATen nor a processor without these instructions changes what an mlp or a cnn says, or what an
    /// mlp learns. But for the gelu of <c>mlp-odd</c>, which a library computes.
    /// </summary>
    [Theory]
    [InlineData("MKL_CBWR", "COMPATIBLE", "mlp", "mlp-odd", "cnn")]
    [InlineData("ONEDNN_MAX_CPU_ISA", "SSE41", "mlp", "cnn")]
    [InlineData("ATEN_CPU_CAPABILITY", "default", "mlp", "cnn")]
    [InlineData(TorchLoader.PortableVariable, "1", "mlp", "cnn")]
    [InlineData("DOTNET_EnableAVX", "0", "mlp", "mlp-odd", "cnn")]
    [InlineData("DOTNET_EnableFMA", "0", "mlp", "mlp-odd", "cnn")]
    public async Task What_an_mlp_learns_and_what_an_mlp_or_a_cnn_says_does_not_depend_on_how_a_processor_sums(string variable, string value, params string[] kinds)
    {
        var there = (await RunAsync([(variable, value)], Program.Arithmetic)).Where(line => !line.StartsWith("onednn_verbose,", StringComparison.Ordinal)).Select(line => line.Split(' ')).ToDictionary(words => words[0]);
        var here = Program.ArithmeticOfAll().Where(own => kinds.Contains(own.Kind)).ToArray();
        Assert.Equal(kinds, here.Select(own => own.Kind));
        Assert.All(here, own => Assert.Equal(own.Said, there[own.Kind][^1]));
        // an mlp's gradients are ours too: its trial and its trained weights
        var mlp = here.Single(own => own.Kind == "mlp");
        Assert.Equal([mlp.Trial, mlp.Trained], there["mlp"][1..3]);
    }

    [Fact]
    public async Task A_trial_is_the_same_in_another_process() =>
        Assert.Equal(Program.ArithmeticOfAll().Select(own => $"{own.Kind} {own.Trial} {own.Trained} {own.Outputs} {own.Said}"), (await RunAsync(Program.Arithmetic)).Where(line => !line.StartsWith("onednn_verbose,", StringComparison.Ordinal)));

    private static async Task<string> HashAsync(string kind) => (await RunAsync(kind))[^2];

    private static Task<string[]> RunAsync(params string[] arguments) => RunAsync([], arguments);

    private static async Task<string[]> RunAsync((string Name, string Value)[] environment, params string[] arguments)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(Program).Assembly.Location, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        if (!Path.GetFileNameWithoutExtension(Environment.ProcessPath!).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
            start.FileName = "dotnet";
        start.Environment["ONEDNN_VERBOSE"] = "1";
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await errors);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
