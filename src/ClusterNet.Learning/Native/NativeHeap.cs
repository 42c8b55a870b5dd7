using System.Runtime.InteropServices;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Sets how glibc hands out the memory that libtorch computes in.
/// <para>Clean: oneDNN's backward convolution by data reads memory that nobody wrote, where a block of channels is not full (under 16 with AVX-512, under 8 with AVX2; TorchSharp 0.107 with libtorch
/// 2.10). What was freed there before decided the gradient's bits, up to values that are not numbers. So memory is zeroed as it is handed out.</para>
/// <para>Kept: a step frees and takes the same gradients and activations again; by default glibc may give them back to the system in between and then faults every page in anew: up to 1,300 faults
/// a step were counted for an MLP of 670,000 parameters in four slices, a third of its time.</para>
/// </summary>
internal static partial class NativeHeap
{
    private const int TrimThreshold = -1;
    private const int MapThreshold = -3;
    private const int Perturb = -6;

    /// <summary>Clean memory, always: the same bits depend on it. Kept memory, where the user has not chosen otherwise.</summary>
    public static void Configure()
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            // glibc fills with the complement: what is handed out is zero, what is freed has all bits set, which is not a number
            _ = SetOption(Perturb, 0xff);
            if (!IsChosen("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"))
                KeepFreedMemory();
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // not glibc, which .NET's and libtorch's packages for Linux are built for
        }
    }

    private static bool IsChosen(params string[] names) => names.Any(name => Environment.GetEnvironmentVariable(name) is not null);

    /// <summary>Blocks under 32 MB (the most that glibc takes) come from the heap, and the heap shrinks only where over 1 GB lies free at its end.</summary>
    private static void KeepFreedMemory()
    {
        _ = SetOption(MapThreshold, 32 << 20);
        _ = SetOption(TrimThreshold, 1 << 30);
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);
}
