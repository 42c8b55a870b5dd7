using System.Runtime.InteropServices;

namespace ClusterNet.Learning.Native;

/// <summary>
/// Sets how glibc hands out the memory that libtorch computes in.
/// <para>Kept: a step frees and takes the same gradients and activations again; by default glibc may give them back to the system in between and then faults every page in anew: up to 1,300 faults
/// a step were counted for an MLP of 670,000 parameters in four slices, a third of its time.</para>
/// <para>Clean, once a model is built that oneDNN may compute for: its backward convolution by data reads memory that nobody wrote, on some processors (seen with AVX-512 and AVX2 on AMD Zen 5, not on Zen 4), where a block of channels is not
/// full (TorchSharp 0.107 with libtorch 2.10). What was freed there before decided the gradient's bits, up to values that are not numbers. Zeroing it takes 3 to 5 % of a training's time.</para>
/// </summary>
internal static partial class NativeHeap
{
    private const int TrimThreshold = -1;
    private const int MapThreshold = -3;
    private const int Perturb = -6;

    /// <summary>Keeps freed memory, where the user has not chosen otherwise. Blocks under 32 MB (the most that glibc takes) come from the heap, and the heap shrinks only where over 1 GB lies free at its end.</summary>
    public static void KeepFreed()
    {
        if (IsChosen("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"))
            return;
        Call(static () => SetOption(MapThreshold, 32 << 20) & SetOption(TrimThreshold, 1 << 30));
    }

    /// <summary>Whether memory is zero as it is handed out.</summary>
    public static bool IsClean { get; private set; }

    /// <summary>Makes it so from now on, in the whole process. Thread-safe.</summary>
    public static void HandOutClean()
    {
        // glibc fills with the complement: what is handed out is zero, what is freed has all bits set, which is not a number
        if (!IsClean)
            Call(static () => SetOption(Perturb, 0xff));
        IsClean = true;
    }

    /// <summary>Gives what lies free back to the system, holes between what is in use too. For when a model is let go: the next one has other sizes, and what is kept for ever between them would add up.</summary>
    public static void GiveBack() => Call(static () => Trim(0));

    private static bool IsChosen(params string[] names) => names.Any(name => Environment.GetEnvironmentVariable(name) is not null);

    private static void Call(Func<int> function)
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            _ = function();
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // not glibc, which .NET's and libtorch's packages for Linux are built for
        }
    }

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetOption(int option, int value);

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint kept);
}
