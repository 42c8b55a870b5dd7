using System.Runtime.InteropServices;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Makes matrix products the same bits wherever in memory their operands lie. MKL chooses kernels by the alignment of its operands unless it is told not to (its developer guide,
/// "Obtaining Numerically Reproducible Results"): weights and samples lie in arrays of the managed heap, whose alignment is chance, and small products of an MLP were seen to differ.
/// </summary>
internal static partial class ReproducibleMath
{
    private const string Variable = "MKL_CBWR";

    /// <summary>Asks for the processor's own kernels, independent of alignment, unless the user asks for others. Heard only before libtorch computes for the first time.</summary>
    public static void Require()
    {
        const string value = "AUTO,STRICT";
        if (Environment.GetEnvironmentVariable(Variable) is not null)
            return;
        Environment.SetEnvironmentVariable(Variable, value);
        if (OperatingSystem.IsWindows())
            return;
        try
        {
            // on Unix the runtime keeps an environment of its own, which native code does not see
            _ = SetVariable(Variable, value, 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // no such library, and then no MKL either
        }
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);
}
